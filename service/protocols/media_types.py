"""Bytes to images: a reader for each media type that a body may have, one table of them, one check for all."""

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
from service.errors import ApiError, to_retry, too_many_images
from service.images.normalisation import read_picture
from service.protocols.json_fast import read_json

JSON = "application/json"
BYTES = "application/octet-stream"
NPY = "application/x-npy"
PNG = "image/png"
JPEG = "image/jpeg"
MULTIPART = "multipart/form-data"

# numpy evaluates the header as a Python literal, which is safe only while it is short; numpy.save writes 118 bytes.
MAX_NPY_HEADER_BYTES = 1000

IsWanted = Callable[[], bool]
"""Says whether a client still waits for what is decoded."""


@dataclass(frozen=True, slots=True)
class RequestFormat:
    """How bodies of one media type are read. `is_slow`: in a thread, since it may block for longer than others should wait.

    `read` takes a body, its whole Content-Type, how many images it may have and whether it is wanted, and returns an array
    that `decode` checks. It raises ValueError or ApiError with a sentence, or TimeoutError when it is not wanted.
    """

    read: Callable[[bytes, str, int, IsWanted], NDArray[Any]]
    is_slow: bool = False


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


def decode(form: RequestFormat, body: bytes, content_type: str, max_images: int, is_wanted: IsWanted) -> NDArray[np.float32]:
    """Return the images in `body` as checked float32 pixels of shape (N, 784).

    Raises:
        ApiError: 400 for a body that is not what it should be, 413 for more than `max_images`.
        TimeoutError: `is_wanted`, called before each picture is decoded, returned False.
    """
    try:
        images = form.read(body, content_type, max_images, is_wanted)
        if len(images) > max_images:
            raise too_many_images(f"{len(images):,} images", max_images)
        return check_images(images)
    except ValueError as error:
        raise ApiError(400, "malformed", str(error)) from None


def _read_raw(body: bytes) -> NDArray[np.uint8]:
    """Read N × 784 bytes, one for each pixel, row by row."""
    if not body or len(body) % NUM_PIXELS:
        raise ValueError(f"the body has {len(body):,} bytes, not N × {NUM_PIXELS}; send one unsigned byte for each pixel.")
    return np.frombuffer(body, np.uint8).reshape(-1, NUM_PIXELS)


def _read_npy(body: bytes) -> NDArray[Any]:
    """Read a `.npy` array of real numbers, (N, 784), (N, 28, 28) or (28, 28), without trusting its header."""
    stream = io.BytesIO(body)
    shape, is_fortran, dtype = _npy_header(stream)
    num_bytes = len(body) - stream.tell()
    if dtype.kind not in "uif":
        raise ValueError(f"the array is of type {dtype}, not of real numbers; {EXPECTED}.")
    # Compared before anything of that size is allocated; Python's integers do not overflow.
    count = int(np.prod(shape, dtype=object))
    if min(shape, default=0) < 0 or count * dtype.itemsize != num_bytes:
        received = f"the header says {shape} of {dtype}, but {num_bytes:,} bytes follow it"
        raise ValueError(f"{received}; write the file with numpy.save and send all of it.")
    array = np.ndarray(shape, dtype, body, offset=stream.tell(), order="F" if is_fortran else "C")
    return array[np.newaxis] if shape == IMAGE_SHAPE else np.atleast_1d(array)


def _npy_header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(stream)
        if version not in readers:
            raise ValueError(f"version {version} is not supported")
        return readers[version](stream, max_header_size=MAX_NPY_HEADER_BYTES)
    except (ValueError, tokenize.TokenError, RecursionError, MemoryError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"the body is not a .npy array ({reason[:100]}); write it with numpy.save.") from None


def _read_multipart(body: bytes, content_type: str, max_images: int, is_wanted: IsWanted) -> NDArray[np.uint8]:
    """Read one picture from each part, in order."""
    parts = _parts(body, content_type, max_images)
    if not parts:
        raise ValueError("the form has no parts; send one PNG or JPEG in each part.")
    pictures = []
    for index, part in enumerate(parts):
        try:
            pictures.append(read_picture(part, is_wanted))
        except TimeoutError:
            sentence = f"{index} of {len(parts)} pictures were read in time; send fewer at a time, or retry after"
            raise to_retry(504, "deadline_exceeded", sentence, 1) from None
        except ValueError as error:
            raise ValueError(f"part {index}: {error}") from None
    return np.stack(pictures)


def _parts(body: bytes, content_type: str, max_parts: int) -> list[memoryview]:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise ValueError("the Content-Type has no boundary; send multipart/form-data; boundary=… as HTTP clients do.")
    spans: list[list[int]] = []
    ends = []

    def begin() -> None:
        if len(spans) == max_parts:
            raise too_many_images(f"more than {max_parts:,} parts", max_parts)
        spans.append([])

    def extend(data: bytes, start: int, stop: int) -> None:
        spans[-1] += start, stop  # of `body`, which the parser has all at once

    try:
        MultipartParser(boundary, {"on_part_begin": begin, "on_part_data": extend, "on_end": lambda: ends.append(True)}).write(
            body
        )
    except FormParserError as error:
        raise ValueError(f"the form cannot be read ({error}); send multipart/form-data as HTTP clients do.") from None
    if not ends:
        raise ValueError("the form ends before its closing boundary; send all of it.")
    return [memoryview(body)[span[0] : span[-1]] if span else memoryview(b"") for span in spans]


def _read_picture(body: bytes, _content_type: str, _max_images: int, is_wanted: IsWanted) -> NDArray[np.uint8]:
    return read_picture(body, is_wanted)[np.newaxis]


# The first is the one that examples use.
REQUEST_FORMATS: Mapping[str, RequestFormat] = MappingProxyType(
    {
        JSON: RequestFormat(lambda body, _, max_images, __: read_json(body, max_images)),
        BYTES: RequestFormat(lambda body, *_: _read_raw(body)),
        NPY: RequestFormat(lambda body, *_: _read_npy(body)),
        PNG: RequestFormat(_read_picture, is_slow=True),
        JPEG: RequestFormat(_read_picture, is_slow=True),
        MULTIPART: RequestFormat(_read_multipart, is_slow=True),
    }
)
