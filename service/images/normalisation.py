"""One PNG or JPEG of a digit, brought into MNIST's form: http://yann.lecun.com/exdb/mnist/ says how its makers did it."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from models.digits import IMAGE_SHAPE, MAX_PIXEL
from service.images.greyscale import greyscale

Ink = NDArray[np.float32]
"""Shape (height, width): how far a pixel stands out from the ground, from 0."""

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


def read_picture(body: bytes | memoryview, is_wanted: Callable[[], bool] = lambda: True) -> NDArray[np.uint8]:
    """Return the digit in `body`, a PNG or JPEG, as uint8 of shape (28, 28): light ink (255) on a dark ground (0).

    Safe in threads.

    Raises:
        ValueError: it is no such picture, broken, too large, animated or blank; the message says what to send.
        TimeoutError: `is_wanted`, asked before it is decoded, returned False.
    """
    with greyscale(body, is_wanted) as grey:
        ink = _ink(grey)
    return _centred(_fitted(ink))


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
