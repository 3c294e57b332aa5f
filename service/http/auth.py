"""Authentication: an API key in `Authorization: Bearer <key>`, where keys are set."""

import hashlib
import hmac
from pathlib import Path

from service.errors import ApiError
from service.http import api_docs, pages
from service.http.key_file import KeyFile

# Routes that are open to everybody: an orchestrator's probes have no key, and files that anybody may read ask for one.
_PUBLIC = frozenset({"/livez", "/readyz", "/", pages.FILES, api_docs.INDEX, api_docs.FILE})


def public_routes(public_metrics: bool) -> frozenset[str]:
    """Return the routes, as in "/web/{file}", that GET and HEAD may have without a key."""
    return _PUBLIC | {"/metrics"} if public_metrics else _PUBLIC


class ApiKeyAuth:
    """Accepts requests that have one of `keys` or of those in `file`; every request where neither is set.

    Raises:
        KeyFileError: the file cannot be used.
    """

    def __init__(self, keys: tuple[str, ...], public_metrics: bool, file: Path | None = None) -> None:
        self._keys = keys
        self._file = KeyFile(file) if file else None
        self._digests = self._digests_now()
        self._public = public_routes(public_metrics)

    def _digests_now(self) -> list[bytes]:
        # Digests, because comparing takes constant time only for what is of one length.
        return [_digest(key.encode()) for key in (*self._keys, *(self._file.keys if self._file else ()))]

    def check(self, route: str | None, method: str, headers: list[tuple[bytes, bytes]]) -> None:
        """Return if the request is accepted; `route` is the one that answers it, whatever its path looks like.

        Raises:
            ApiError: 401, it has no key, or one that is not known.
        """
        if not self._digests or (route in self._public and method in ("GET", "HEAD")):
            return
        if self._file and self._file.has_changed():
            self._digests = self._digests_now()
        value = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, key = value.partition(b" ")
        if scheme.lower() != b"bearer":
            raise _unauthenticated("the request has no key")
        digest = _digest(key.strip())
        # All are compared, so that the time does not tell which one matches.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if not any(matches):
            raise _unauthenticated("the key is not one of those that are accepted")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _unauthenticated(problem: str) -> ApiError:
    sentence = f"{problem}; send the header Authorization: Bearer <key>, with a key from whoever runs this service."
    return ApiError(401, "unauthenticated", sentence, {"WWW-Authenticate": 'Bearer realm="digit-classifier"'})
