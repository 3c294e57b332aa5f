"""The inference route of every protocol; to add one, write its file and an entry here."""

from collections.abc import Mapping
from types import MappingProxyType

from service.protocols.native import NativeCall
from service.protocols.protocol import OpenCall

# By path, which may have parameters, as in "/v2/models/{model}/infer".
INFERENCE_ROUTES: Mapping[str, OpenCall] = MappingProxyType({"/predict": NativeCall})
