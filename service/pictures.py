"""One PNG or JPEG of a digit, brought into MNIST's form: http://yann.lecun.com/exdb/mnist/ says how its makers did it."""

import functools
import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter, ImageOps
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from models.digits import IMAGE_SHAPE, MAX_PIXEL

Ink = NDArray[np.float32]
"""Shape (height, width): how far a pixel stands out from the ground, from 0."""

# A camera's 12 megapixels fit. The worst PNG of so many takes 176 MiB while it is read, a camera's JPEG 6.
MAX_PICTURE_PIXELS = 2**24
# Reads of a JPEG, chunks of a PNG: a camera's have a few thousand; stray bytes and empty chunks come one by one.
MAX_PIECES = 50_000
# A progressive JPEG has about 10; each is a pass over the whole picture, and costs its sender a few bytes.
MAX_JPEG_SCANS = 50

INK_SIZE = 20  # MNIST's digits fill 20×20 of the 28×28
CENTRE = 14  # rounded, each of MNIST's test digits has its centre of mass here

WORKING_SIZE = 112  # several pixels for each of the 20, and few enough to average a camera's noise out
GROUND_SIZE = 32  # light changes slowly across a sheet of paper
STROKE_SHARE = 0.4  # of the picture's longer side: no stroke is that wide, and a shadow that is counts as ground
FLAT_SPREAD = 2  # grey levels: a drawn or scanned ground varies less, even as a JPEG; a photographed one more
MIN_CONTRAST = 12  # grey levels: a JPEG's artefacts stay below, a pale pencil is above
NOISE_SPREADS = 3  # standard deviations of noise that are ground: 1 pixel in 700 has more
BLANK_SPREADS = 7  # the strongest of WORKING_SIZE² pixels of noise alone is at about 5
EDGE_SHARE = 0.25  # of full ink: what is fainter does not widen the box around the digit
SEEN_ALPHA = 128  # of 255: at least half opaque
PAPER_CONTRAST = 64  # grey levels between the darkest and lightest that is opaque: it is ink on paper, not ink alone

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_START_OF_SCAN = b"\xff\xda"
# Size, palette, transparency, pixels, orientation, and what tells an animation. Not text: 64 KiB unpack to 250 MiB.
_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"acTL", b"fcTL", b"IEND")


class _Pieces(io.BytesIO):
    """A file that can be read `MAX_PIECES` times."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_PIECES:
            raise ValueError("it is cut into too many pieces")
        return super().read(size)


def read_picture(body: bytes) -> NDArray[np.uint8]:
    """Return the digit in `body`, a PNG or JPEG, as uint8 of shape (28, 28): light ink (255) on a dark ground (0).

    Safe in threads.

    Raises:
        ValueError: it is no such picture, broken, too large, animated or blank; the message says what to send.
    """
    _hold_pillows_warnings_back()
    return _centred(_fitted(_ink(_greyscale(_opened(body)))))


@functools.cache
def _hold_pillows_warnings_back() -> None:
    # Each oddity in a sender's file would be a line on stderr and an entry in a registry that only grows.
    warnings.filterwarnings("ignore", module=r"PIL\.")


@contextmanager
def _broken_is_said() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Pillow's parsers raise whatever they stumble over
        reason = "it ends too early" if isinstance(error, struct.error) else error
        raise ValueError(
            f"the picture is broken or cut short: {reason}; save it anew as PNG or JPEG and send all of it."
        ) from None


def _opened(body: bytes) -> ImageFile:
    """Return the picture with its header read and checked, and no pixel decoded."""
    if not body.startswith((_PNG, _JPEG)):
        came = f"starts with {body[:8].hex(' ')}, as neither PNG nor JPEG does" if body else "is empty"
        raise ValueError(f"the picture {came}; send one PNG or JPEG of a handwritten digit.")
    with _broken_is_said():
        # These classes and not Image.open(): it would take a preview inside a photo for an animation, and warn of sizes.
        picture = JpegImageFile(_Pieces(body)) if body.startswith(_JPEG) else PngImageFile(_Pieces(_checked_png(body)))
    width, height = picture.size
    if width * height > MAX_PICTURE_PIXELS:
        raise ValueError(
            f"the picture has {width:,}×{height:,} pixels; send at most {MAX_PICTURE_PIXELS:,}: a smaller copy will do."
        )
    # Only there: the film that some phones append to a photo has the same two bytes here and there.
    if "progressive" in picture.info and body.count(_START_OF_SCAN) > MAX_JPEG_SCANS:
        raise ValueError(f"the JPEG has more than {MAX_JPEG_SCANS} scans; save it anew as a baseline JPEG or as PNG.")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise ValueError(f"the picture is animated ({frames} frames); send a still one: one picture, one digit.")
    return picture


def _checked_png(body: bytes) -> bytes:
    """Return `body` with those of its chunks that count, their checksums compared, which Pillow does not do for pixels."""
    view, at, kept = memoryview(body), len(_PNG), [memoryview(_PNG)]
    for _ in range(MAX_PIECES):
        length, name = struct.unpack_from(">I4s", body, at)
        end = at + length + 12
        if name in _CHUNKS:
            if zlib.crc32(view[at + 4 : end - 4]) != struct.unpack_from(">I", body, end - 4)[0]:
                raise ValueError(f"the checksum of its chunk {name.decode()} is wrong")
            kept.append(view[at:end])
        if name == b"IEND":
            return b"".join(kept)
        at = end
    raise ValueError("it is cut into too many pieces")


def _greyscale(picture: ImageFile) -> Image.Image:
    """Return `picture` decoded, in mode L, upright, with a ground where it was transparent."""
    with _broken_is_said():
        # A large JPEG is decoded at the smallest of 1/1 to 1/8 that leaves detail for a digit in one corner.
        picture.draft("L", (8 * WORKING_SIZE, 8 * WORKING_SIZE))
        picture.load()
        if picture.mode == "I;16":
            grey = _from_16_bits(np.array(picture))
        elif picture.has_transparency_data:
            grey = _on_a_ground(picture if picture.mode == "RGBA" else picture.convert("RGBA"))
        else:
            grey = picture.convert("L")
        grey.info = picture.info  # with the orientation that the camera wrote
        ImageOps.exif_transpose(grey, in_place=True)
    return grey


def _from_16_bits(values: NDArray[np.uint16]) -> Image.Image:
    # Many hold 10 or 12 bits; Pillow's own conversion clips at 8.
    low, high = int(values.min()), int(values.max())
    values -= low
    values //= (high - low) // 256 + 1
    return Image.fromarray(values.astype(np.uint8))


def _on_a_ground(picture: Image.Image) -> Image.Image:
    """Return RGBA as L: a sheet of paper goes on where it was transparent; ink alone gets a ground to stand out from."""
    grey, alpha = picture.convert("L"), picture.getchannel("A")
    seen = np.cumsum(grey.histogram(alpha.point([level * (level >= SEEN_ALPHA) for level in range(256)])))
    darkest, middle, lightest = np.searchsorted(seen, (1, seen[-1] / 2, seen[-1]))
    is_paper = lightest - darkest > PAPER_CONTRAST
    grey.paste(int(middle) if is_paper else 0 if middle > MAX_PIXEL / 2 else MAX_PIXEL, mask=ImageChops.invert(alpha))
    return grey


def _ink(grey: Image.Image) -> Ink:
    """Return the digit's ink, cut out at its edges, from a few dozen pixels across to `WORKING_SIZE`.

    Raises:
        ValueError: nothing stands out.
    """
    while True:
        pixels_per_pixel = math.ceil(max(grey.size) / WORKING_SIZE)
        ink = _above_ground(grey.reduce(pixels_per_pixel))
        left, top, right, bottom = _box(ink)
        size = max(right - left, bottom - top)
        if pixels_per_pixel == 1 or 3 * size * pixels_per_pixel > max(grey.size):
            return ink[top:bottom, left:right]
        # A small digit on a large picture: look again, closer, with ground around it.
        margin = size // 2 + 2
        closer = np.array((left - margin, top - margin, right + margin, bottom + margin)) * pixels_per_pixel
        grey = grey.crop(tuple(np.clip(closer, 0, (*grey.size, *grey.size)).tolist()))


def _box(ink: Ink) -> tuple[int, int, int, int]:
    is_ink = ink > EDGE_SHARE * ink.max()
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _above_ground(grey: Image.Image) -> Ink:
    """Return what stands out from the ground that the border shows, be it lighter or darker, with the noise taken off."""
    pixels = np.asarray(grey, np.float32)
    border = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    level = np.median(border)
    if np.median(np.abs(border - level)) <= FLAT_SPREAD:
        ink = pixels - level
        return _without_noise(-ink if _is_dark(ink) else ink)
    # Where the light is uneven, ink is what differs from its surroundings.
    around = np.asarray(grey.filter(ImageFilter.GaussianBlur(max(grey.size) / 4)), np.float32)
    light = ImageOps.invert(grey) if _is_dark(pixels - around) else grey
    return _without_noise(np.asarray(light, np.float32) - _ground(light))


def _is_dark(difference: NDArray[np.float32]) -> bool:
    return bool(-difference.min() > difference.max())


def _without_noise(ink: Ink) -> Ink:
    full = ink.max()
    ground = ink[ink <= full / 2]
    floor = np.median(ground)
    spread = 1.4826 * np.median(np.abs(ground - floor))  # a standard deviation, if the noise is Gaussian
    if full - floor < max(MIN_CONTRAST, BLANK_SPREADS * spread):
        raise ValueError(
            "the picture is blank: nothing stands out from its ground; send one digit, dark on light or light on dark."
        )
    return np.maximum(ink - floor - NOISE_SPREADS * spread, 0)


def _ground(light: Image.Image) -> NDArray[np.float32]:
    """Return the ground under light ink: what is left when all that is narrower than a stroke may be is taken away."""
    shrunk = min(1, GROUND_SIZE / max(light.size))
    width, height = (max(1, round(length * shrunk)) for length in light.size)
    window = int(STROKE_SHARE * max(width, height)) // 2 * 2 + 1
    # Continued beyond the edge, or a corner that grows lighter would be narrower than a stroke.
    small = np.pad(np.asarray(light.resize((width, height), Image.Resampling.BOX)), window, mode="edge")
    opened = Image.fromarray(small).filter(ImageFilter.MinFilter(window)).filter(ImageFilter.MaxFilter(window))
    inner = (window, window, window + width, window + height)
    return np.asarray(opened.crop(inner).resize(light.size, Image.Resampling.BILINEAR), np.float32)


def _fitted(ink: Ink) -> NDArray[np.uint8]:
    """Return `ink` as grey levels, its longer side `INK_SIZE`."""
    scale = INK_SIZE / max(ink.shape)
    size = [max(1, round(length * scale)) for length in reversed(ink.shape)]
    # Pillow widens the filter to take in every pixel when it makes smaller, so that fine strokes fade and do not vanish.
    fitted = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR if scale < 1 else Image.Resampling.BICUBIC))
    # The strokes of MNIST are saturated: most of what is more ink than ground is at 253 to 255.
    full = np.percentile(fitted[fitted >= fitted.max() / 2], 75)
    return np.clip(np.rint(fitted * (MAX_PIXEL / full)), 0, MAX_PIXEL).astype(np.uint8)


def _centred(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return `digit` in 28×28 with its centre of mass at `CENTRE`, or as near as its ink leaves room."""
    image = np.zeros(IMAGE_SHAPE, np.uint8)
    top, left = (_start(digit.sum(axis=1 - axis), IMAGE_SHAPE[axis]) for axis in (0, 1))
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return image


def _start(mass: NDArray[np.uint64], room: int) -> int:
    first = math.ceil(CENTRE - 0.5 - np.average(np.arange(len(mass)), weights=mass))
    return min(max(first, 0), room - len(mass))
