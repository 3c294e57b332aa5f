"""The slow reader of JSON bodies: it checks each value, and says what is wrong with a body and where."""

import json
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.digits import EXPECTED, IMAGE_SHAPE, NUM_PIXELS

_EXAMPLE = '{"images": [[784 numbers], …]}'

# A good body has one; an object for each of 100,000 keys would leave 8 MiB of memory in pieces.
_MAX_COLONS = 1000


def read_strictly(body: bytes) -> NDArray[np.float64]:
    """Read `{"images": [image, …]}` into float64 of shape (N, 784) or (N, 28, 28); values are not checked.

    Raises:
        ValueError: it is something else; the message names the image and, where there is one, the pixel.
    """
    if body.count(b":") > _MAX_COLONS:
        raise ValueError(f'the body has more than {_MAX_COLONS:,} keys; send {{"images": [[784 numbers], …]}}.')
    images = _images_of(_parse(body))
    if not isinstance(images, list) or not images:
        raise ValueError(f'"images" is {_kind(images)}; it must be a list of at least one image: {EXPECTED}.')
    # The first image says for all of them whether they are flat or in rows.
    is_square = isinstance(images[0], list) and bool(images[0]) and isinstance(images[0][0], list)
    for index, image in enumerate(images):
        _check(image, IMAGE_SHAPE if is_square else (NUM_PIXELS,), f"images[{index}]")
    return np.array(images, np.float64)


def _parse(body: bytes) -> Any:
    # All numbers become floats: an integer of 5,000 digits is then infinite and out of range, not an error of its own.
    # NaN, Infinity and -Infinity, which Python reads and JSON does not have, become bytes until their place is known.
    try:
        text = body.decode()
        if text.startswith("\ufeff"):
            raise ValueError("the body starts with a byte-order mark; send UTF-8 without one.")
        return json.loads(text, parse_int=float, parse_constant=str.encode, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise ValueError(f"the body is not UTF-8 at byte {error.start}; send JSON in UTF-8.") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the body is not JSON: {error}; send {_EXAMPLE}.") from None
    except RecursionError:
        raise ValueError(f"the body is nested too deeply; send {_EXAMPLE}.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        ((repeated, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the body has the key {_shown(repeated)} more than once; send each key once.")
    return found


def _images_of(document: Any) -> Any:
    if not isinstance(document, dict):
        raise ValueError(f"the body is {_kind(document)}; send an object: {_EXAMPLE}.")
    if "images" not in document:
        has = f"its first key is {_shown(next(iter(document)))}" if document else "it has none"
        raise ValueError(f'the body has no key "images" ({has}); send {_EXAMPLE}.')
    if len(document) > 1:
        other = next(key for key in document if key != "images")
        raise ValueError(f'the body has the unknown key {_shown(other)}; send "images" alone.')
    return document["images"]


def _check(values: Any, shape: tuple[int, ...], place: str) -> None:
    count, *inner = shape
    if not isinstance(values, list) or (inner and len(values) != count):
        expected = f"{count} rows of {inner[0]} numbers" if inner else f"a list of {count} numbers"
        raise ValueError(f"{place} is {_kind(values)}, not {expected}; {EXPECTED}.")
    for index, value in enumerate(values) if inner or set(map(type, values)) != {float} else ():
        if inner:
            _check(value, (inner[0],), f"{place}[{index}]")
        elif type(value) is not float:
            raise ValueError(f"{place}[{index}] is {_kind(value)}, not a number; {EXPECTED}.")
    if len(values) != count:
        raise ValueError(f"{place} has {len(values)} values, not {count}; {EXPECTED}.")


_KINDS = {dict: "an object", float: "a number", bool: "a boolean", type(None): "null"}


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, bytes):
        return value.decode()
    return f"the string {_shown(value)}" if isinstance(value, str) else _KINDS[type(value)]


def _shown(text: str) -> str:
    return json.dumps(text if len(text) <= 40 else f"{text[:40]}…")
