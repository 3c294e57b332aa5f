"""What a valid image of a digit is, and the sentences that reject anything else."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MODEL_NAME = "digit-classifier"
IMAGE_SHAPE = (28, 28)
NUM_PIXELS = 784
NUM_CLASSES = 10
MAX_PIXEL = 255

_MAX_PIXEL_BITS = np.float64(MAX_PIXEL).view(np.uint64)
_ONES = np.ones(NUM_PIXELS, np.float32)

EXPECTED = "send 784 (28×28) pixel values from 0 to 255 for each image"

# The brightest of MNIST's 70,000 images has a mean pixel of 101; the darkest, inverted, has 154.
INVERTED_MEAN = 127

SCALED_HINT = (
    "all values are between 0 and 1, as if they had been scaled already; "
    "the model scales them itself: send raw pixel values from 0 to 255"
)
INVERTED_HINT = (
    "an image is bright nearly everywhere, as a dark digit on a light background is; "
    "the model expects a light digit (255) on a dark background (0): send 255 - value"
)


def check_images(images: NDArray[Any]) -> NDArray[np.float32]:
    """Return `images` as float32 of shape (N, 784), N >= 1, or say what is wrong with them.

    Takes real numbers of any width and byte order, shape (N, 784) or (N, 28, 28), values 0 to 255.

    Raises:
        ValueError: the shape, the type or a value is another; the message names image and pixel.
    """
    if images.dtype.kind not in "uif":
        raise ValueError(f"images are of type {images.dtype}, not real numbers; {EXPECTED}.")
    if images.shape[1:] not in ((NUM_PIXELS,), IMAGE_SHAPE):
        raise ValueError(f"images have the shape {images.shape}, not (N, 784) or (N, 28, 28); {EXPECTED}.")
    if not len(images):
        raise ValueError(f"images is empty; {EXPECTED}, and at least one image.")
    # Checked before they are narrowed to float32, which would round 255.000001 to 255.
    if images.dtype != np.uint8 and not _are_in_range(images):
        raise ValueError(_first_value_out_of_range(images))
    return np.ascontiguousarray(images.reshape(-1, NUM_PIXELS), dtype=np.float32)


def _are_in_range(images: NDArray[Any]) -> bool:
    # Read as unsigned integers, doubles from 0 up keep their order, and negative ones and NaN come after all of them:
    # one pass instead of two, at a sixth of the time. -0.0 is among the negative ones, so those are compared again.
    if images.dtype == np.float64 and images.view(np.uint64).max() <= _MAX_PIXEL_BITS:
        return True
    return bool(images.min() >= 0 and images.max() <= MAX_PIXEL)


def _first_value_out_of_range(images: NDArray[Any]) -> str:
    outside = ~((images >= 0) & (images <= MAX_PIXEL))  # so written, NaN is outside too
    place = tuple(int(axis[0]) for axis in np.nonzero(outside))
    # In full: rounded as :g does, 255.000001 would read 255, which is valid.
    value = str(images[place]).removesuffix(".0")
    return f"images{''.join(f'[{index}]' for index in place)} is {value}; {EXPECTED}."


def hint_about(images: NDArray[np.float32]) -> str | None:
    """Return a sentence about what looks mistaken in valid `images` of shape (N, 784), or None."""
    brightest = images.dot(_ONES).max()  # the sum of each row, at a quarter of the cost of `sum`
    if brightest > INVERTED_MEAN * NUM_PIXELS:
        return INVERTED_HINT
    # Values up to 1 add up to no more; the slower checks are only made where the sum is as small.
    if brightest <= NUM_PIXELS and images.max() <= 1 and np.any(images % 1):
        return SCALED_HINT
    return None
