"""Arrays of pixels in a body: raw bytes, and `.npy` files, whose header is not trusted."""

import io
import tokenize
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.digits import EXPECTED, IMAGE_SHAPE, NUM_PIXELS

# numpy evaluates the header as a Python literal, which is safe only while it is short; numpy.save writes 118 bytes.
MAX_NPY_HEADER_BYTES = 1000


def read_raw(body: bytes) -> NDArray[np.uint8]:
    """Read N × 784 bytes, one for each pixel, row by row, into shape (N, 784).

    Raises:
        ValueError: it is another number of bytes.
    """
    if not body or len(body) % NUM_PIXELS:
        raise ValueError(f"the body has {len(body):,} bytes, not N × {NUM_PIXELS}; send one unsigned byte for each pixel.")
    return np.frombuffer(body, np.uint8).reshape(-1, NUM_PIXELS)


def read_npy(body: bytes) -> NDArray[Any]:
    """Read a `.npy` array of real numbers as it is, but one of shape (28, 28) as (1, 28, 28); nothing else is checked.

    Raises:
        ValueError: it is no such array, or its header and its size contradict each other.
    """
    stream = io.BytesIO(body)
    shape, is_fortran, dtype = _header(stream)
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


def _header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(stream)
        if version not in readers:
            raise ValueError(f"version {version} is not supported")
        return readers[version](stream, max_header_size=MAX_NPY_HEADER_BYTES)
    except (ValueError, tokenize.TokenError, RecursionError, MemoryError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"the body is not a .npy array ({reason[:100]}); write it with numpy.save.") from None
