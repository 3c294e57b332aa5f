"""An opened PNG or JPEG becomes grey levels, upright and in bounded memory, however many arrive at once."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import cast

import numpy as np
from PIL import Image, ImageChops, ImageOps
from PIL.ImageFile import ImageFile

from models.digits import MAX_PIXEL
from service.images.opening import damage_reported, open_picture
from service.process.memory import give_back_freed_memory

# A4 scanned in colour at 300 dpi takes 35 MiB while it is decoded; a progressive JPEG of 12 megapixels takes 38.
MAX_DECODED_BYTES = 39 * 2**20
# Of larger ones, one at a time is decoded. A camera's 12 megapixels take 3 MiB.
SMALL_DECODED_BYTES = 3 * 2**20

DETAIL = 896  # pixels of the shorter side that are enough for a digit in one corner

OPAQUE_ALPHA = 128  # of 255: from here on a pixel counts as visible
PAPER_CONTRAST = 64  # grey levels between the darkest and lightest visible: more is a digit on paper, less a digit alone

_TILE = 384  # pixels to a side of what is converted to grey levels at once: a multiple of 1, 2, 3 and 4
_SAMPLE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2}  # all other modes of Pillow take 4

_one_large_picture = threading.Lock()


@contextmanager
def greyscale(body: bytes | memoryview, is_wanted: Callable[[], bool] = lambda: True) -> Iterator[Image.Image]:
    """Give `body`, a PNG or JPEG, in mode L, upright, with a background where it was transparent.

    Safe in threads: a large picture waits until no other large one is in its block.

    Raises:
        ValueError: it is no such picture, broken, too large or animated; the message says what to send.
        TimeoutError: its turn to be decoded has come, and `is_wanted` returns False.
    """
    picture, decoded_bytes = open_picture(memoryview(body))
    with damage_reported():
        # A large JPEG is decoded at the smallest of 1/1 to 1/8 that leaves enough detail.
        picture.draft("L", (DETAIL, DETAIL))
        decoded_bytes += _pixel_bytes(picture)
    if decoded_bytes > MAX_DECODED_BYTES:
        raise ValueError(
            f"the picture takes {decoded_bytes:,} bytes to decode, more than {MAX_DECODED_BYTES:,}; "
            "send a smaller copy, or one in greyscale."
        )
    turn = nullcontext() if decoded_bytes <= SMALL_DECODED_BYTES else _one_at_a_time()
    with turn, closing(picture):
        if not is_wanted():
            raise TimeoutError("the picture was not decoded in time.")
        with closing(_decoded(picture)) as grey:
            yield grey


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with _one_large_picture:
        try:
            yield
        finally:
            # What glibc keeps is soon in pieces too small for the next large picture, which would be allocated on top.
            give_back_freed_memory()


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
    with damage_reported():
        picture.load()
        grey = picture if _is_grey(picture) else _converted(picture, _conversion(picture))
        ImageOps.exif_transpose(grey, in_place=True)
    return grey


def _converted(picture: ImageFile, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return `picture` in grey levels, tile by tile, since whole copies in other modes would take several times as much."""
    factor = _reduction(picture)
    grey = Image.new("L", _reduced_size(picture))
    for left, top, tile in _tiles(picture):
        grey.paste(convert(tile).reduce(factor), (left // factor, top // factor))
    grey.info = picture.info  # with the orientation that the camera wrote
    picture.close()  # else it would be there beside the copy that transposing makes
    return grey


def _tiles(picture: Image.Image) -> Iterator[tuple[int, int, Image.Image]]:
    """Yield left, top and a piece; the pieces of a narrow picture are longer, so that there are never many."""
    width, height = picture.size
    across, down = _TILE**2 // min(_TILE, height), _TILE**2 // min(_TILE, width)
    for left, top in itertools.product(range(0, width, across), range(0, height, down)):
        yield left, top, picture.crop((left, top, min(left + across, width), min(top + down, height)))


def _conversion(picture: ImageFile) -> Callable[[Image.Image], Image.Image]:
    """Return how a tile of `picture` becomes grey levels."""
    if picture.mode == "I;16":  # many hold 10 or 12 bits; Pillow's own conversion clips at 8
        low, high = cast("tuple[int, int]", picture.getextrema())
        step = (high - low) // 256 + 1
        return lambda tile: Image.fromarray(((np.asarray(tile) - low) // step).astype(np.uint8))
    if picture.has_transparency_data:
        background = _background_level(picture)
        return lambda tile: _on_background(tile, background)
    return lambda tile: tile.convert("L")


def _background_level(picture: ImageFile) -> int:
    """Return what to put where `picture` is transparent: a sheet of paper is continued; a digit alone gets a contrast."""
    visible = np.cumsum(sum(np.array(_histogram(tile)) for _, _, tile in _tiles(picture)))
    darkest, middle, lightest = np.searchsorted(visible, (1, visible[-1] / 2, visible[-1]))
    is_paper = lightest - darkest > PAPER_CONTRAST
    return int(middle) if is_paper else 0 if middle > MAX_PIXEL / 2 else MAX_PIXEL


def _histogram(tile: Image.Image) -> list[int]:
    """Return how many visible pixels have each grey level."""
    rgba = tile.convert("RGBA")
    is_visible = rgba.getchannel("A").point([level * (level >= OPAQUE_ALPHA) for level in range(256)])
    return rgba.convert("L").histogram(is_visible)


def _on_background(tile: Image.Image, background: int) -> Image.Image:
    rgba = tile.convert("RGBA")
    grey = rgba.convert("L")
    grey.paste(background, mask=ImageChops.invert(rgba.getchannel("A")))
    return grey
