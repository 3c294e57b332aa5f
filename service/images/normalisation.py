"""One PNG or JPEG of a digit becomes an image as MNIST has them."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from models.mnist_form import in_mnist_form
from service.images.greyscale import greyscale

Foreground = NDArray[np.float32]
"""Shape (height, width): by how many grey levels a pixel differs from the background, from 0."""

WORKING_SIZE = 112  # several pixels for each of the 20, and few enough to average a camera's noise out
BACKGROUND_SIZE = 32  # light changes slowly across a sheet of paper
STROKE_SHARE = 0.4  # of the picture's longer side: no stroke is that wide; a shadow that is counts as background
FLAT_SPREAD = 2  # grey levels: a drawn or scanned background varies less, even as a JPEG; a photographed one more
MIN_CONTRAST = 12  # grey levels: a JPEG's artefacts stay below, a pale pencil is above
NOISE_SPREADS = 3  # standard deviations of noise that are background: 1 pixel in 700 has more
BLANK_SPREADS = 7  # the strongest of WORKING_SIZE² pixels of noise alone is at about 5
EDGE_SHARE = 0.25  # of the strongest pixel: what is fainter does not widen the box around the digit


def read_picture(body: bytes | memoryview, is_wanted: Callable[[], bool] = lambda: True) -> NDArray[np.uint8]:
    """Return the digit in `body`, a PNG or JPEG, as uint8 of shape (28, 28): light (255) on a dark background (0).

    Safe in threads.

    Raises:
        ValueError: it is no such picture, broken, too large, animated or blank; the message says what to send.
        TimeoutError: `is_wanted`, called before anything is decoded, returned False.
    """
    with greyscale(body, is_wanted) as grey:
        foreground = _digit_in(grey)
    return in_mnist_form(foreground)


def _digit_in(grey: Image.Image) -> Foreground:
    """Return the digit, cropped to its edges, from a few dozen pixels across to `WORKING_SIZE`.

    Raises:
        ValueError: nothing differs from the background.
    """
    while True:
        factor = math.ceil(max(grey.size) / WORKING_SIZE)
        foreground = _foreground(grey.reduce(factor))
        left, top, right, bottom = _box(foreground)
        size = max(right - left, bottom - top)
        if factor == 1 or 3 * size * factor > max(grey.size):
            return foreground[top:bottom, left:right]
        # A small digit on a large picture: again from a crop of it, with background around.
        margin = size // 2 + 2
        crop = np.array((left - margin, top - margin, right + margin, bottom + margin)) * factor
        grey = grey.crop(tuple(np.clip(crop, 0, (*grey.size, *grey.size)).tolist()))


def _box(foreground: Foreground) -> tuple[int, int, int, int]:
    is_digit = foreground > EDGE_SHARE * foreground.max()
    rows, columns = np.flatnonzero(is_digit.any(axis=1)), np.flatnonzero(is_digit.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _foreground(grey: Image.Image) -> Foreground:
    """Return what is lighter or darker than the background that the border shows, with the noise subtracted."""
    pixels = np.asarray(grey, np.float32)
    border = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    level = np.median(border)
    if np.median(np.abs(border - level)) <= FLAT_SPREAD:
        difference = pixels - level
        return _without_noise(-difference if _is_dark(difference) else difference)
    # Where the light is uneven, the digit is what differs from its surroundings.
    around = np.asarray(grey.filter(ImageFilter.GaussianBlur(max(grey.size) / 4)), np.float32)
    light = ImageOps.invert(grey) if _is_dark(pixels - around) else grey
    return _without_noise(np.asarray(light, np.float32) - _background(light))


def _is_dark(difference: NDArray[np.float32]) -> bool:
    return bool(-difference.min() > difference.max())


def _without_noise(difference: NDArray[np.float32]) -> Foreground:
    strongest = difference.max()
    background = difference[difference <= strongest / 2]
    level = np.median(background)
    spread = 1.4826 * np.median(np.abs(background - level))  # a standard deviation, if the noise is Gaussian
    if strongest - level < max(MIN_CONTRAST, BLANK_SPREADS * spread):
        raise ValueError(
            "the picture is blank: nothing differs from its background; send one digit, dark on light or light on dark."
        )
    return np.maximum(difference - level - NOISE_SPREADS * spread, 0)


def _background(light: Image.Image) -> NDArray[np.float32]:
    """Return the background of a light digit: a morphological opening takes away all that is narrower than a stroke may be."""
    shrunk = min(1, BACKGROUND_SIZE / max(light.size))
    width, height = (max(1, round(length * shrunk)) for length in light.size)
    window = int(STROKE_SHARE * max(width, height)) // 2 * 2 + 1
    # Continued beyond the edge, or a corner that grows lighter would be narrower than a stroke.
    small = np.pad(np.asarray(light.resize((width, height), Image.Resampling.BOX)), window, mode="edge")
    opened = Image.fromarray(small).filter(ImageFilter.MinFilter(window)).filter(ImageFilter.MaxFilter(window))
    inner = (window, window, window + width, window + height)
    return np.asarray(opened.crop(inner).resize(light.size, Image.Resampling.BILINEAR), np.float32)
