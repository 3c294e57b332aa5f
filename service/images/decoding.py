"""A stranger's PNG or JPEG becomes grey levels, upright and in bounded memory, however many come at once."""

import functools
import io
import itertools
import math
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import cast

import numpy as np
from PIL import Image, ImageChops, ImageOps
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from models.digits import MAX_PIXEL
from service.process.memory import give_back_freed_memory

MAX_PICTURE_PIXELS = 2**24
# A4 scanned in colour at 300 dpi takes 35 MiB while it is decoded; a progressive JPEG of 12 megapixels takes 38.
MAX_DECODED_BYTES = 39 * 2**20
# Of larger ones, one at a time is decoded. A camera's 12 megapixels take 3 MiB.
SMALL_DECODED_BYTES = 3 * 2**20
# Reads of a JPEG, chunks of a PNG: a camera's have a few thousand; stray bytes and empty chunks come one by one.
MAX_PIECES = 50_000
# Before the pixels. Pillow keeps it, some of it three times; the previews and profiles of cameras are smaller.
MAX_HEAD_BYTES = 2**20
# A progressive JPEG has about 10; each is a pass over the whole picture, and costs its sender a few bytes.
MAX_JPEG_SCANS = 50

DETAIL = 896  # pixels of the shorter side that are enough for a digit in one corner

SEEN_ALPHA = 128  # of 255: at least half opaque
PAPER_CONTRAST = 64  # grey levels between the darkest and lightest that is opaque: it is ink on paper, not ink alone

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_START_OF_SCAN = b"\xff\xda"
# Size, palette, transparency, pixels, orientation, and what tells an animation. Not text: 64 KiB unpack to 250 MiB.
_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"acTL", b"fcTL", b"IEND")
_LONG_HEAD = f"more than {MAX_HEAD_BYTES:,} bytes stand before its pixels"
_TILE = 384  # pixels to a side of what is brought from colours to grey levels at once: a multiple of 1, 2, 3 and 4
_SAMPLE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2}  # all other modes of Pillow take 4

_alone = threading.Lock()


@contextmanager
def greyscale(body: bytes | memoryview) -> Iterator[Image.Image]:
    """Give `body`, a PNG or JPEG, in mode L, upright, with a ground where it was transparent.

    Safe in threads: a large picture waits until no other large one is in its block.

    Raises:
        ValueError: it is no such picture, broken, too large or animated; the message says what to send.
    """
    _prepare_pillow()
    picture, decoded_bytes = _opened(memoryview(body))
    turn = nullcontext() if decoded_bytes <= SMALL_DECODED_BYTES else _one_at_a_time()
    with turn, closing(picture), closing(_decoded(picture)) as grey:
        yield grey


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with _alone:
        try:
            yield
        finally:
            # What glibc keeps is soon in pieces too small for the next large picture, which would come on top.
            give_back_freed_memory()


@functools.cache
def _prepare_pillow() -> None:
    # Each oddity in a sender's file would be a line on stderr and an entry in a registry that only grows.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # Blocks of its usual 16 MiB seldom fit into what was freed before.
    Image.core.set_block_size(2**20)


@contextmanager
def _broken_is_said() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Pillow's parsers raise whatever they stumble over
        reason = "it ends too early" if isinstance(error, struct.error) else error
        raise ValueError(
            f"the picture is broken or cut short: {reason}; save it anew as PNG or JPEG and send all of it."
        ) from None


def _opened(body: memoryview) -> tuple[ImageFile, int]:
    """Return the picture with its header read and checked and no pixel decoded, and the bytes that decoding takes."""
    start = bytes(body[:8])
    if not start.startswith((_PNG, _JPEG)):
        came = f"starts with {start.hex(' ')}, as neither PNG nor JPEG does" if start else "is empty"
        raise ValueError(f"the picture {came}; send one PNG or JPEG of a handwritten digit.")
    with _broken_is_said():
        # These classes and not Image.open(): it would take a preview inside a photo for an animation, and warn of sizes.
        file = _Pieces(body) if start.startswith(_JPEG) else _checked_png(body)
        picture = JpegImageFile(file) if start.startswith(_JPEG) else PngImageFile(file)
        file.is_head = False
    _check_size(picture.size)
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise ValueError(f"the picture is animated ({frames} frames); send a still one: one picture, one digit.")
    # Only there: the film that some phones append to a photo has the same two bytes here and there.
    if "progressive" in picture.info and _has_many_scans(body):
        raise ValueError(f"the JPEG has more than {MAX_JPEG_SCANS} scans; save it anew as a baseline JPEG or as PNG.")
    with _broken_is_said():
        decoded_bytes = _coefficient_bytes(picture, body[: file.tell()]) if isinstance(picture, JpegImageFile) else 0
        # A large JPEG is decoded at the smallest of 1/1 to 1/8 that leaves enough detail.
        picture.draft("L", (DETAIL, DETAIL))
        decoded_bytes += _pixel_bytes(picture)
    if decoded_bytes > MAX_DECODED_BYTES:
        raise ValueError(
            f"the picture takes {decoded_bytes:,} bytes to decode, more than {MAX_DECODED_BYTES:,}; "
            "send a smaller copy, or the same in grey."
        )
    return picture, decoded_bytes


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PICTURE_PIXELS:
        raise ValueError(
            f"the picture has {width:,}×{height:,} pixels; send at most {MAX_PICTURE_PIXELS:,}: a smaller copy will do."
        )


def _has_many_scans(body: memoryview) -> bool:
    return any(itertools.islice(re.finditer(_START_OF_SCAN, body), MAX_JPEG_SCANS, None))


class _Pieces(io.BytesIO):
    """A file that is `head` and then `rest`, without a copy of either, and can be read `MAX_PIECES` times."""

    def __init__(self, rest: memoryview, head: bytes | bytearray = b"") -> None:
        self._rest, self._head = rest, memoryview(head)
        self._at = self._reads = 0
        self.is_head = True

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None  # Pillow never asks for all that there is
        self._reads += 1
        if self._reads > MAX_PIECES:
            raise ValueError("it is cut into too many pieces")
        if self.is_head and self._at + size > MAX_HEAD_BYTES:
            raise ValueError(_LONG_HEAD)
        beyond = self._at - len(self._head)
        data = bytes(self._rest[beyond : beyond + size] if beyond >= 0 else self._head[self._at : self._at + size])
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        assert whence == io.SEEK_SET
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at


def _checked_png(body: memoryview) -> _Pieces:
    """Return those chunks of `body` that count, their checksums compared, which Pillow does not do for pixels."""
    head, first, last, at = bytearray(_PNG), 0, 0, len(_PNG)
    for _ in range(MAX_PIECES):
        length, name = struct.unpack_from(">I4s", body, at)
        end = at + length + 12
        if name in _CHUNKS and zlib.crc32(body[at + 4 : end - 4]) != struct.unpack_from(">I", body, end - 4)[0]:
            raise ValueError(f"the checksum of its chunk {name.decode()} is wrong")
        if name == b"IEND":
            return _Pieces(body[first:last], head)
        if name == b"IDAT":
            if last not in (0, at):
                raise ValueError("its pixels are interrupted")
            first, last = first or at, end
        elif name in _CHUNKS and not (last and name == b"fcTL"):  # which then is of a frame that is left out
            head += body[at:end]
        if len(head) > MAX_HEAD_BYTES:
            raise ValueError(_LONG_HEAD)
        at = end
    raise ValueError("it is cut into too many pieces")


def _coefficient_bytes(jpeg: JpegImageFile, head: memoryview) -> int:
    """Return what libjpeg keeps of a whole JPEG whose first scan, at the end of `head`, does not have all of its pixels."""
    scan = bytes(head[-16:])
    num_components = scan[scan.rindex(_START_OF_SCAN) + 4]
    if "progressive" not in jpeg.info and num_components == jpeg.layers:
        return 0
    across, down = (max(factors) for factors in zip(*((one[1], one[2]) for one in jpeg.layer), strict=True))
    share = sum(one[1] * one[2] for one in jpeg.layer) / (across * down)
    # Two bytes each, in whole blocks of up to 32×32.
    return int(2 * share * math.prod(-(-length // 32) * 32 for length in jpeg.size))


def _pixel_bytes(picture: ImageFile) -> int:
    """Return what the pixels take, those that they become, and two rows of 16-bit RGBA as they are in a PNG."""
    decoded = _rows_bytes(picture.size, _SAMPLE_BYTES.get(picture.mode, 4))
    return decoded + 16 * picture.width + (0 if _is_grey(picture) else _rows_bytes(_reduced_size(picture), 1))


def _rows_bytes(size: tuple[int, int], sample_bytes: int) -> int:
    width, height = size
    return height * (-(-width * sample_bytes // 4) * 4 + 8)  # words, and a pointer to each row


def _is_grey(picture: ImageFile) -> bool:
    return picture.mode == "L" and not picture.has_transparency_data


def _reduced_size(picture: ImageFile) -> tuple[int, int]:
    width, height = picture.size
    return -(-width // _reduction(picture)), -(-height // _reduction(picture))


def _reduction(picture: ImageFile) -> int:
    return max(1, min(picture.size) // DETAIL)  # 4 at most, of MAX_PICTURE_PIXELS


def _decoded(picture: ImageFile) -> Image.Image:
    with _broken_is_said():
        picture.load()
        grey = picture if _is_grey(picture) else _toned(picture, _tone(picture))
        ImageOps.exif_transpose(grey, in_place=True)
    return grey


def _toned(picture: ImageFile, tone: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return `picture` in grey levels, tile by tile, since whole copies in other modes would take several times as much."""
    factor = _reduction(picture)
    grey = Image.new("L", _reduced_size(picture))
    for left, top, tile in _tiles(picture):
        grey.paste(tone(tile).reduce(factor), (left // factor, top // factor))
    grey.info = picture.info  # with the orientation that the camera wrote
    picture.close()  # else it would be there beside the copy that turning makes
    return grey


def _tiles(picture: Image.Image) -> Iterator[tuple[int, int, Image.Image]]:
    """Yield left, top and a piece; the pieces of a narrow picture are longer, so that there are never many."""
    width, height = picture.size
    across, down = _TILE**2 // min(_TILE, height), _TILE**2 // min(_TILE, width)
    for left, top in itertools.product(range(0, width, across), range(0, height, down)):
        yield left, top, picture.crop((left, top, min(left + across, width), min(top + down, height)))


def _tone(picture: ImageFile) -> Callable[[Image.Image], Image.Image]:
    """Return how a tile of `picture` becomes grey levels."""
    if picture.mode == "I;16":
        low, high = cast("tuple[int, int]", picture.getextrema())
        return functools.partial(_from_16_bits, low=low, step=(high - low) // 256 + 1)
    if picture.has_transparency_data:
        return functools.partial(_on_ground, ground=_ground_level(picture))
    return lambda tile: tile.convert("L")


def _from_16_bits(tile: Image.Image, low: int, step: int) -> Image.Image:
    # Many hold 10 or 12 bits; Pillow's own conversion clips at 8.
    return Image.fromarray(((np.asarray(tile) - low) // step).astype(np.uint8))


def _ground_level(picture: ImageFile) -> int:
    """Return what to put where `picture` is transparent: a sheet of paper goes on; ink alone stands out from it."""
    seen = np.cumsum(sum(np.array(_histogram(tile)) for _, _, tile in _tiles(picture)))
    darkest, middle, lightest = np.searchsorted(seen, (1, seen[-1] / 2, seen[-1]))
    is_paper = lightest - darkest > PAPER_CONTRAST
    return int(middle) if is_paper else 0 if middle > MAX_PIXEL / 2 else MAX_PIXEL


def _histogram(tile: Image.Image) -> list[int]:
    """Return how many pixels that are seen are of each grey level."""
    rgba = tile.convert("RGBA")
    is_seen = rgba.getchannel("A").point([level * (level >= SEEN_ALPHA) for level in range(256)])
    return rgba.convert("L").histogram(is_seen)


def _on_ground(tile: Image.Image, ground: int) -> Image.Image:
    rgba = tile.convert("RGBA")
    grey = rgba.convert("L")
    grey.paste(ground, mask=ImageChops.invert(rgba.getchannel("A")))
    return grey
