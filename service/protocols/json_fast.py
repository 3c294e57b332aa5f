"""JSON bodies to arrays without a Python object for each number: parse, prove the shape, and only then trust the size."""

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, cast

import numpy as np
import simdjson
from numpy.typing import NDArray

from models.digits import EXPECTED, IMAGE_SHAPE, NUM_PIXELS
from service.errors import too_many_images
from service.protocols.json_strict import read_strictly

# The strict reader takes 40 ms for each MiB, during which no other request is answered.
MAX_STRICT_BYTES = 2**20

_ROWS, _COLUMNS = IMAGE_SHAPE
# What numbers and the white space between them consist of. A body without these bytes is its skeleton: brackets and commas.
_NUMBERS_AND_SPACE = b"0123456789+-.eE \t\r\n"
_FLAT_SKELETON = b"[" + b"," * (NUM_PIXELS - 1) + b"]"
_SQUARE_SKELETON = b"[" + b",".join([b"[" + b"," * (_COLUMNS - 1) + b"]"] * _ROWS) + b"]"
_PIECE_BYTES = 2**16
_SPACE = 32  # the highest of JSON's four kinds of white space
# A body of this size may consist of nothing but brackets.
_MAX_DENSE_BYTES = 6 * 2**20
# What simdjson raises for a text, a number or a type that it does not read.
_NOT_READ = (ValueError, TypeError, KeyError, RuntimeError)


def read_json(body: bytes, max_images: int) -> NDArray[np.float64]:
    """Read `{"images": [image, …]}` into float64 (N, 784) or (N, 28, 28); values are not checked.

    Raises:
        ApiError: 413, before anything is parsed, for more numbers than `max_images` images have.
        ValueError: it is something else; the message names the image and, in a body of up to 1 MiB, the pixel.
    """
    if len(body) >= 2 * max_images * NUM_PIXELS:  # a number takes a digit and a comma
        _check_counts(body, max_images)
    images, error = _parsed(body)
    if images is not None and (pixels := _proved(images, body)) is not None:
        return pixels
    return read_strictly(body) if len(body) <= MAX_STRICT_BYTES else _refuse_large(images, error)


def _check_counts(body: bytes, max_images: int) -> None:
    max_numbers = max_images * NUM_PIXELS
    numbers = _count(body, b",") + 1
    if numbers > max_numbers:
        images, rest = divmod(numbers, NUM_PIXELS)
        both = f"{numbers:,} numbers ({max_images:,} images have {max_numbers:,})"
        raise too_many_images(both if rest else f"{images:,} images ({numbers:,} numbers)", max_images)
    if len(body) <= _MAX_DENSE_BYTES:
        return
    # Parsing takes five bytes and more for each token, also where no comma stands between two of them.
    for token in (b"[", b"{", b'"', b":"):
        if _count(body, token) > max_numbers:
            raise ValueError(f"the body has the character {token.decode()} more than {max_numbers:,} times; {EXPECTED}.")
    # White space stands before the comma of a number and after it.
    if _count_gaps(body) > 3 * max_numbers:
        raise ValueError(f"the body has more white space than numbers to separate; {EXPECTED}.")


def _count(body: bytes, byte: bytes) -> int:
    # bytes.count searches anew for each occurrence, which takes ten times as long where there are many.
    return sum(int(np.count_nonzero(piece == byte[0])) for piece in _pieces(body))


def _count_gaps(body: bytes) -> int:
    """Return how many times white space is followed by something else, except where two pieces meet."""
    is_space = (piece <= _SPACE for piece in _pieces(body))
    return sum(int(np.count_nonzero(each[:-1] > each[1:])) for each in is_space)


def _pieces(body: bytes) -> Iterator[NDArray[np.uint8]]:
    """Return the bytes in pieces, so that what is computed from them takes little memory and stays in the cache."""
    values = np.frombuffer(body, np.uint8)
    return (values[start : start + _PIECE_BYTES] for start in range(0, len(body), _PIECE_BYTES))


def _parsed(body: bytes) -> tuple[simdjson.Array | None, Exception | None]:
    """Return the images, or None if there are none, and the error of what is not JSON."""
    if body.startswith(b"\xef\xbb\xbf"):  # simdjson skips a byte-order mark; JSON has none
        return None, None
    try:
        # A new parser each time: one that is kept also keeps twelve times the largest body that it has parsed, and
        # does not parse again as long as anything, a logged traceback for one, holds its last document.
        return _images_alone(simdjson.Parser().parse(body)), None
    except _NOT_READ as error:
        return None, error


def _images_alone(document: object) -> simdjson.Array | None:
    if not isinstance(document, simdjson.Object) or len(document) != 1:  # a repeated key counts twice
        return None
    images = document.get("images")
    return images if isinstance(images, simdjson.Array) and len(images) else None


def _proved(images: simdjson.Array, body: bytes) -> NDArray[np.float64] | None:
    """Return the pixels, or None if the quick proof of their shape does not hold."""
    try:
        shape = _proved_shape(images, body)
        # as_buffer flattens any nesting, so it proves no shape itself; it refuses what is not a number.
        return None if shape is None else np.frombuffer(images.as_buffer(of_type="d"), np.float64).reshape(-1, *shape)
    except _NOT_READ:
        return None


def _proved_shape(images: Sequence[Any], body: bytes) -> tuple[int, ...] | None:
    if len(images[0]) == _ROWS:  # len() raises TypeError where an image has none
        squares = b'{"images":[' + b",".join([_SQUARE_SKELETON] * len(images)) + b"]}"
        return IMAGE_SHAPE if _skeleton(body) == squares.replace(b"e", b"") else None
    # One bracket for the list and one for each image: no image has a list in it.
    is_flat = body.count(b"[") == 1 + len(images) and all(len(image) == NUM_PIXELS for image in images)
    return (NUM_PIXELS,) if is_flat else None


def _skeleton(text: bytes) -> bytes:
    return text.translate(None, _NUMBERS_AND_SPACE)


def _refuse_large(images: simdjson.Array | None, error: Exception | None) -> NoReturn:
    """Name the first image that is not one, without an object for each number.

    Raises:
        ValueError: always.
    """
    if error is not None:
        reason = str(error).partition(":")[0]
        raise ValueError(f"the body is not JSON, or has a number that is not finite ({reason}); {EXPECTED}.")
    if images is not None:
        is_square = isinstance(images[0], simdjson.Array) and len(images[0]) == _ROWS
        expected = _SQUARE_SKELETON if is_square else _FLAT_SKELETON
        for index, image in enumerate(images):
            if not isinstance(image, simdjson.Array) or _skeleton(cast("bytes", image.mini)) != expected:
                raise ValueError(f"images[{index}] is not {_ROWS} rows of {_COLUMNS} or {NUM_PIXELS} numbers; {EXPECTED}.")
    raise ValueError(f'the body is not one object with the key "images" alone, in UTF-8; {EXPECTED}.')
