"""An untrusted PNG or JPEG is opened: its structure, size and bounds are checked, and none of its pixels is decoded."""

import functools
import io
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

MAX_PICTURE_PIXELS = 2**24
# Reads of a JPEG, chunks of a PNG: a camera's have a few thousand; stray bytes and empty chunks are one piece each.
MAX_PIECES = 50_000
# Pillow keeps it, some of it three times; the previews and profiles of cameras are smaller.
MAX_HEADER_BYTES = 2**20
# A progressive JPEG has about 10; each is a pass over the whole picture, and costs its sender a few bytes.
MAX_JPEG_SCANS = 50

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
# What ends a scan and begins a segment; libjpeg passes over restarts (D0 to D7) and what is below C0.
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_SEARCHED_BYTES = 2**20  # at once: meanwhile no other thread runs
# Size, palette, transparency, pixels, orientation, and what tells an animation. Not text: 64 KiB unpack to 250 MiB.
_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"acTL", b"fcTL", b"IEND")
_LONG_HEADER = f"its header has more than {MAX_HEADER_BYTES:,} bytes"
_MANY_PIECES = f"it consists of more than {MAX_PIECES:,} pieces"


def open_picture(body: memoryview) -> tuple[ImageFile, int]:
    """Return `body`, a PNG or JPEG, with its header read, and the bytes that libjpeg will keep beside its pixels.

    Raises:
        ValueError: it is no such picture, broken, too large or animated; the message says what to send.
    """
    _prepare_pillow()
    start = bytes(body[:8])
    if not start.startswith((_PNG, _JPEG)):
        received = f"starts with {start.hex(' ')}, as neither PNG nor JPEG does" if start else "is empty"
        raise ValueError(f"the picture {received}; send one PNG or JPEG of a handwritten digit.")
    is_jpeg = start.startswith(_JPEG)
    with damage_reported():
        # These classes and not Image.open(): it would take a preview inside a photo for an animation, and warn of sizes.
        file = _BoundedFile(body) if is_jpeg else _checked_png(body)
        picture = JpegImageFile(file) if is_jpeg else PngImageFile(file)
        file.is_in_header = False
        coefficient_bytes = _coefficient_bytes(picture, body[: file.tell()]) if isinstance(picture, JpegImageFile) else 0
    width, height = picture.size
    if width * height > MAX_PICTURE_PIXELS:
        received = f"the picture has {width:,}×{height:,} pixels"
        raise ValueError(f"{received}; send at most {MAX_PICTURE_PIXELS:,}, in a smaller copy.")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise ValueError(f"the picture is animated ({frames} frames); send a still picture of one digit.")
    if coefficient_bytes and _has_many_scans(body, file.tell()):
        received = f"has more than {MAX_PIECES:,} segments or more than {MAX_JPEG_SCANS} scans"
        raise ValueError(f"the JPEG {received}; save it again as a baseline JPEG or as PNG.")
    return picture, coefficient_bytes


@functools.cache
def _prepare_pillow() -> None:
    # Each oddity in a client's file would be a line on stderr and an entry in a registry that only grows.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # Blocks of its usual 16 MiB seldom fit into what was freed before.
    Image.core.set_block_size(2**20)


@contextmanager
def damage_reported() -> Iterator[None]:
    """Turn whatever Pillow's parsers raise in the block into a ValueError whose message says what to send."""
    try:
        yield
    except Exception as error:
        reason = "it ends too early" if isinstance(error, struct.error) else error
        raise ValueError(
            f"the picture is broken or truncated: {reason}; save it again as PNG or JPEG and send the whole file."
        ) from None


def _has_many_scans(jpeg: memoryview, at: int) -> bool:
    """Say whether too many scans, or segments, follow the header of `jpeg`, which ends at `at`.

    Segments are passed over, as libjpeg does: what only looks like a marker there is none, nor is what a phone appends.
    """
    num_scans = 1
    for _ in range(MAX_PIECES):
        found = _MARKER.search(jpeg, at, at + _SEARCHED_BYTES)
        if found is None:
            at += _SEARCHED_BYTES - 1
        else:
            num_scans += found[0] == _START_OF_SCAN
            at = found.end() + int.from_bytes(jpeg[found.end() : found.end() + 2])
        if at >= len(jpeg) or (found and found[0] == _END_OF_IMAGE) or num_scans > MAX_JPEG_SCANS:
            return num_scans > MAX_JPEG_SCANS
    return True


class _BoundedFile(io.BytesIO):
    """A file that is `start` and then `rest`, without a copy of either, and can be read `MAX_PIECES` times."""

    def __init__(self, rest: memoryview, start: bytes | bytearray = b"") -> None:
        self._rest, self._start = rest, memoryview(start)
        self._at = self._reads = 0
        self.is_in_header = True

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None  # Pillow never asks for all that there is
        self._reads += 1
        if self._reads > MAX_PIECES:
            raise ValueError(_MANY_PIECES)
        if self.is_in_header and self._at + size > MAX_HEADER_BYTES:
            raise ValueError(_LONG_HEADER)
        beyond = self._at - len(self._start)
        data = bytes(self._rest[beyond : beyond + size] if beyond >= 0 else self._start[self._at : self._at + size])
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        assert whence == io.SEEK_SET
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at


def _checked_png(body: memoryview) -> _BoundedFile:
    """Return the chunks of `body` that are used, with their checksums compared, which Pillow does not do for pixels."""
    header, first, last, at = bytearray(_PNG), 0, 0, len(_PNG)
    for _ in range(MAX_PIECES):
        length, name = struct.unpack_from(">I4s", body, at)
        end = at + length + 12
        if name in _CHUNKS and zlib.crc32(body[at + 4 : end - 4]) != struct.unpack_from(">I", body, end - 4)[0]:
            raise ValueError(f"the checksum of its chunk {name.decode()} is wrong")
        if name == b"IEND":
            return _BoundedFile(body[first:last], header)
        if name == b"IDAT":
            if last not in (0, at):
                raise ValueError("its IDAT chunks are not consecutive")
            first, last = first or at, end
        elif name in _CHUNKS and not (last and name == b"fcTL"):  # which then is of a frame that is left out
            header += body[at:end]
        if len(header) > MAX_HEADER_BYTES:
            raise ValueError(_LONG_HEADER)
        at = end
    raise ValueError(_MANY_PIECES)


def _coefficient_bytes(jpeg: JpegImageFile, header: memoryview) -> int:
    """Return what libjpeg keeps of a whole JPEG whose first scan, at the end of `header`, does not hold all of its pixels."""
    scan = bytes(header[-16:])
    num_components = scan[scan.rindex(_START_OF_SCAN) + 4]
    if "progressive" not in jpeg.info and num_components == jpeg.layers:
        return 0
    across, down = (max(factors) for factors in zip(*((one[1], one[2]) for one in jpeg.layer), strict=True))
    share = sum(one[1] * one[2] for one in jpeg.layer) / (across * down)
    # Two bytes each, in whole blocks of up to 32×32.
    return int(2 * share * math.prod(-(-length // 32) * 32 for length in jpeg.size))
