"""The media types that a body may have: one table of them, each with its reader, and one check of what they return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.digits import check_images
from service.errors import ApiError, too_many_images
from service.images.normalisation import read_picture
from service.protocols.arrays import read_npy, read_raw
from service.protocols.json_fast import read_json
from service.protocols.multipart import read_multipart

JSON = "application/json"
BYTES = "application/octet-stream"
NPY = "application/x-npy"
PNG = "image/png"
JPEG = "image/jpeg"
MULTIPART = "multipart/form-data"

IsWanted = Callable[[], bool]
"""Says whether a client still waits for what is decoded."""


class RequestBody(NamedTuple):
    """A whole body and what its readers may need besides; `content_type` has its parameters."""

    content: bytes
    content_type: str
    max_images: int
    is_wanted: IsWanted


@dataclass(frozen=True, slots=True)
class RequestFormat:
    """How bodies of one media type are read: into an array that `decode` checks.

    `is_slow`: in a thread, since it may take longer than the event loop should be kept.
    """

    read: Callable[[RequestBody], NDArray[Any]]
    is_slow: bool = False


def _picture(body: RequestBody) -> NDArray[np.uint8]:
    return read_picture(body.content, body.is_wanted)[np.newaxis]


# To add a media type, add a line. The first is the one that examples use.
REQUEST_FORMATS: Mapping[str, RequestFormat] = MappingProxyType(
    {
        JSON: RequestFormat(lambda body: read_json(body.content, body.max_images)),
        BYTES: RequestFormat(lambda body: read_raw(body.content)),
        NPY: RequestFormat(lambda body: read_npy(body.content)),
        PNG: RequestFormat(_picture, is_slow=True),
        JPEG: RequestFormat(_picture, is_slow=True),
        MULTIPART: RequestFormat(lambda body: read_multipart(*body), is_slow=True),
    }
)


def request_format(content_type: str) -> RequestFormat:
    """Return how bodies of `content_type` are read, whatever its parameters.

    Raises:
        ApiError: 415.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in REQUEST_FORMATS:
        received = f"Content-Type is {media_type[:80]}" if media_type else "the request has no Content-Type"
        raise ApiError(415, "media_type", f"{received}; send one of: {', '.join(REQUEST_FORMATS)}.")
    return REQUEST_FORMATS[media_type]


def decode(
    request_format: RequestFormat, body: bytes, content_type: str, max_images: int, is_wanted: IsWanted
) -> NDArray[np.float32]:
    """Return the images in `body` as checked float32 pixels of shape (N, 784).

    Raises:
        ApiError: 400 for a body that is not what it should be, 413 for more than `max_images`.
        TimeoutError: `is_wanted` returned False, which pictures alone ask.
    """
    try:
        images = request_format.read(RequestBody(body, content_type, max_images, is_wanted))
        if len(images) > max_images:
            raise too_many_images(f"{len(images):,} images", max_images)
        return check_images(images)
    except ValueError as error:
        raise ApiError(400, "malformed", str(error)) from None
