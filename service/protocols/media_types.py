"""Bytes to arrays: one function for each media type that a body may have, one table of them, one check for all."""

import io
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from models.digits import EXPECTED, IMAGE_SHAPE, NUM_PIXELS, check_images
from service.errors import ApiError, too_many_images
from service.images.normalisation import read_picture
from service.protocols.json_fast import read_json

JSON = "application/json"
BYTES = "application/octet-stream"
NPY = "application/x-npy"
PNG = "image/png"
JPEG = "image/jpeg"
MULTIPART = "multipart/form-data"

# numpy evaluates the header as a Python literal, which is safe only while it is short; an honest one has 118 bytes.
_MAX_NPY_HEADER = 1000


IsWanted = Callable[[], bool]
"""Says whether someone still waits for what is read."""

Reader = Callable[[bytes, str, int, IsWanted], NDArray[Any]]
"""Takes a body, its whole Content-Type and how many images it may have; returns an array that is checked by the caller.

Raises ValueError or ApiError with a sentence.
"""


@dataclass(frozen=True, slots=True)
class RequestFormat:
    """How bodies of one media type are read. `is_slow`: in a thread, since it may take longer than others should wait."""

    read: Reader
    is_slow: bool = False


def request_format(content_type: str) -> RequestFormat:
    """Return how bodies of `content_type` are read, whatever its parameters.

    Raises:
        ApiError: 415.
    """
    media_type = media_type_of(content_type)
    if media_type not in REQUEST_FORMATS:
        came = f"Content-Type is {media_type[:80]}" if media_type else "the request has no Content-Type"
        raise ApiError(415, "media_type", f"{came}; send one of: {', '.join(REQUEST_FORMATS)}.")
    return REQUEST_FORMATS[media_type]


def media_type_of(header: str) -> str:
    """Return what a Content-Type names, without its parameters."""
    return header.partition(";")[0].strip().lower()


def decode(form: RequestFormat, body: bytes, content_type: str, max_images: int, is_wanted: IsWanted) -> NDArray[np.float32]:
    """Return the images in `body` as checked float32 pixels of shape (N, 784).

    Raises:
        ApiError: 400 for a body that is not what it should be, 413 for more than `max_images`.
    """
    try:
        images = form.read(body, content_type, max_images, is_wanted)
        if len(images) > max_images:
            raise too_many_images(f"{len(images):,} images", max_images)
        return check_images(images)
    except ValueError as error:
        raise ApiError(400, "malformed", str(error)) from None


def _read_json(body: bytes, content_type: str, max_images: int, is_wanted: IsWanted) -> NDArray[np.float64]:
    return read_json(body, max_images)


def _read_bytes(body: bytes, content_type: str, max_images: int, is_wanted: IsWanted) -> NDArray[np.uint8]:
    """Read N × 784 bytes, one a pixel, row by row."""
    if not body or len(body) % NUM_PIXELS:
        raise ValueError(f"the body has {len(body):,} bytes, not N × {NUM_PIXELS}; send one unsigned byte for each pixel.")
    return np.frombuffer(body, np.uint8).reshape(-1, NUM_PIXELS)


def _read_npy(body: bytes, content_type: str, max_images: int, is_wanted: IsWanted) -> NDArray[Any]:
    """Read a `.npy` array of real numbers, (N, 784), (N, 28, 28) or (28, 28), without trusting its header."""
    stream = io.BytesIO(body)
    shape, is_fortran, dtype = _npy_header(stream)
    num_bytes = len(body) - stream.tell()
    if dtype.kind not in "uif":
        raise ValueError(f"the array is of type {dtype}, not of real numbers; {EXPECTED}.")
    # Compared before anything of that size is made; Python's integers do not overflow.
    count = int(np.prod(shape, dtype=object))
    if min(shape, default=0) < 0 or count * dtype.itemsize != num_bytes:
        raise ValueError(f"the header says {shape} of {dtype}, which is not the {num_bytes:,} bytes that follow it.")
    array = np.ndarray(shape, dtype, body, offset=stream.tell(), order="F" if is_fortran else "C")
    return array[np.newaxis] if shape == IMAGE_SHAPE else np.atleast_1d(array)


def _npy_header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(stream)
        if version not in readers:
            raise ValueError(f"version {version} is not read here")
        return readers[version](stream, max_header_size=_MAX_NPY_HEADER)
    except (ValueError, tokenize.TokenError, RecursionError, MemoryError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"the body is not a .npy array ({reason[:100]}); write it with numpy.save.") from None


def _read_picture(body: bytes, content_type: str, max_images: int, is_wanted: IsWanted) -> NDArray[np.uint8]:
    return read_picture(body)[np.newaxis]


def _read_multipart(body: bytes, content_type: str, max_images: int, is_wanted: IsWanted) -> NDArray[np.uint8]:
    """Read one picture from each part, in order."""
    parts = _parts(body, content_type, max_images)
    if not parts:
        raise ValueError("the form has no parts; send one PNG or JPEG in each part.")
    pictures = []
    for index, part in enumerate(parts):
        if not is_wanted():
            raise ApiError(
                504, "deadline_exceeded", f"{index} of {len(parts)} pictures were read in time; send fewer at a time."
            )
        try:
            pictures.append(read_picture(part))
        except ValueError as error:
            raise ValueError(f"part {index}: {error}") from None
    return np.stack(pictures)


def _parts(body: bytes, content_type: str, max_parts: int) -> list[memoryview]:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise ValueError("the Content-Type has no boundary; send multipart/form-data; boundary=… as HTTP clients do.")
    parts: list[memoryview] = []
    is_complete = False

    def begin() -> None:
        if len(parts) == max_parts:
            raise too_many_images(f"more than {max_parts:,} parts", max_parts)
        parts.append(memoryview(b""))

    def fill(data: bytes, start: int, stop: int) -> None:
        # The parser has all of the body at once, so that a part comes as one piece, which is not copied.
        piece = memoryview(data)[start:stop]
        parts[-1] = memoryview(b"".join((parts[-1], piece))) if parts[-1] else piece

    def complete() -> None:
        nonlocal is_complete
        is_complete = True

    try:
        parser = MultipartParser(boundary, {"on_part_begin": begin, "on_part_data": fill, "on_end": complete})
        parser.write(body)
    except FormParserError as error:
        raise ValueError(f"the form cannot be read ({error}); send multipart/form-data as HTTP clients do.") from None
    if not is_complete:
        raise ValueError("the form ends before its closing boundary; send the whole of it.")
    return parts


# The first is the one that examples use.
REQUEST_FORMATS: Mapping[str, RequestFormat] = MappingProxyType(
    {
        JSON: RequestFormat(_read_json),
        BYTES: RequestFormat(_read_bytes),
        NPY: RequestFormat(_read_npy),
        PNG: RequestFormat(_read_picture, is_slow=True),
        JPEG: RequestFormat(_read_picture, is_slow=True),
        MULTIPART: RequestFormat(_read_multipart, is_slow=True),
    }
)
