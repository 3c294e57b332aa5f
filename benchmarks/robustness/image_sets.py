"""What a model is shown: clean digits, corrupted ones, digits of other origin, and images that are no digit."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.robustness.corruptions import CORRUPTIONS, corrupted
from models.digits import IMAGE_SHAPE, MAX_PIXEL, NUM_CLASSES, NUM_PIXELS
from training.data import Split
from training.drawing import FONTS, LETTERS, PUNCTUATION, STROKES, normalised, printed, scribbles

Pixels = NDArray[np.uint8]

CLEAN, CORRUPTED, OTHER, NO_DIGITS = "clean digits", "corrupted digits", "other digits", "no digits"
_NUM_DRAWN = 1000  # scribbles, and images of noise


class ImageSet(NamedTuple):
    """`images`, uint8 (N, 784), and their `labels` (N,), or None where they are no digits."""

    group: str
    name: str
    images: Pixels
    labels: NDArray[np.uint8] | None


def image_sets(split: Split) -> Iterator[ImageSet]:
    """Yield every set, `CLEAN` first; what is made of digits is made of those in `split`."""
    yield ImageSet(CLEAN, "clean digits", split.images, split.labels)
    for name in CORRUPTIONS:
        yield ImageSet(CORRUPTED, name, corrupted(name, split.images), split.labels)
    digits = np.tile(np.arange(NUM_CLASSES, dtype=np.uint8), len(FONTS))
    for stroke in STROKES:
        yield ImageSet(OTHER, f"printed, {stroke} strokes", printed("0123456789", stroke), digits)
    yield ImageSet(OTHER, "small scans", *small_scans())
    for name, images in no_digits(split).items():
        yield ImageSet(NO_DIGITS, name, images, None)


def small_scans() -> tuple[Pixels, NDArray[np.uint8]]:
    """Return the 1,797 scanned digits of 8×8 pixels that scikit-learn brings along, in MNIST's form, and their labels.

    Raises:
        RuntimeError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits  # pyright: ignore[reportMissingImports]: it is in the benchmark's own folder
    except ModuleNotFoundError:
        raise RuntimeError("scikit-learn is missing; `make robustness` installs it beside .venv.") from None
    scans, labels = load_digits(return_X_y=True)
    return enlarged(scans.reshape(-1, 8, 8)), labels.astype(np.uint8)


def enlarged(scans: NDArray[np.float64]) -> Pixels:
    """Return `scans` of any size, 0 to 16, as uint8 (N, 784) in MNIST's form."""
    levels = np.minimum(16 * scans, MAX_PIXEL).astype(np.uint8)
    return np.stack([normalised(Image.fromarray(each)) for each in levels])


def no_digits(split: Split) -> dict[str, Pixels]:
    """Return images that are no digit, by name: uint8 (N, 784).

    Left out is what still reads as a digit: letters and marks that look like 0 or 1, a 0 on its side, half a 1.
    """
    random = np.random.default_rng(0)
    images = split.images.reshape(-1, *IMAGE_SHAPE)
    other = images[random.permutation(len(images))]
    made = {
        "rotated by a quarter": _rotated(images[split.labels != 0], random),
        "half": _halved(images[split.labels != 1], random),
        "two at once": np.stack([normalised(Image.fromarray(np.hstack(pair))) for pair in zip(images, other, strict=True)]),
        "inverted": MAX_PIXEL - images,
        "noise": random.integers(0, MAX_PIXEL + 1, (_NUM_DRAWN, NUM_PIXELS), np.uint8),
        "blank, at every grey level": np.repeat(np.arange(MAX_PIXEL + 1, dtype=np.uint8), NUM_PIXELS),
    }
    drawn = {"letters": printed(LETTERS), "punctuation": printed(PUNCTUATION), "scribbles": scribbles(_NUM_DRAWN, random)}
    return {name: each.reshape(-1, NUM_PIXELS) for name, each in (drawn | made).items()}


def _rotated(images: Pixels, random: np.random.Generator) -> Pixels:
    is_left = random.random(len(images)) < 1 / 2
    return np.where(is_left[:, None, None], np.rot90(images, axes=(1, 2)), np.rot90(images, -1, axes=(1, 2)))


def _halved(images: Pixels, random: np.random.Generator) -> Pixels:
    """Black out the upper, the lower, the left or the right half of each image."""
    down, right = np.indices(IMAGE_SHAPE)
    middle = IMAGE_SHAPE[0] // 2
    kept = np.stack([down >= middle, down < middle, right >= middle, right < middle])
    return images * kept[random.integers(0, len(kept), len(images))]
