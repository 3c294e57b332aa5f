"""The form of MNIST's images: http://yann.lecun.com/exdb/mnist/ says how those were made."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.digits import IMAGE_SHAPE, MAX_PIXEL

DIGIT_SIZE = 20  # MNIST's digits fill 20×20 of the 28×28
CENTRE = 14  # rounded, each of MNIST's test digits has its centre of mass here


def in_mnist_form(foreground: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a digit as uint8 of shape (28, 28): light (255) on dark (0), its longer side 20, centred by its mass.

    `foreground`, of shape (height, width) and cropped to the digit, says how much a pixel differs from the background, from 0.
    """
    return _centred(_fitted(foreground))


def _fitted(foreground: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return `foreground` as grey levels, its longer side `DIGIT_SIZE`."""
    scale = DIGIT_SIZE / max(foreground.shape)
    size = [max(1, round(length * scale)) for length in reversed(foreground.shape)]
    # When it makes smaller, Pillow widens the filter to take in every pixel, so that fine strokes fade and do not vanish.
    resampling = Image.Resampling.BILINEAR if scale < 1 else Image.Resampling.BICUBIC
    fitted = np.asarray(Image.fromarray(foreground).resize(size, resampling))
    # The strokes of MNIST are saturated: most pixels above half of the maximum are at 253 to 255.
    full = np.percentile(fitted[fitted >= fitted.max() / 2], 75)
    return np.clip(np.rint(fitted * (MAX_PIXEL / full)), 0, MAX_PIXEL).astype(np.uint8)


def _centred(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return `digit` in 28×28 with its centre of mass at `CENTRE`, or as near as its size leaves room."""
    image = np.zeros(IMAGE_SHAPE, np.uint8)
    top, left = (_start(digit.sum(axis=1 - axis), IMAGE_SHAPE[axis]) for axis in (0, 1))
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return image


def _start(mass: NDArray[np.uint64], room: int) -> int:
    first = math.ceil(CENTRE - 0.5 - np.average(np.arange(len(mass)), weights=mass))
    return min(max(first, 0), room - len(mass))
