"""The corruptions: the same each time, of the same form, strong enough to see, and the digit can still be made out."""

import numpy as np
import pytest

from benchmarks.robustness.corruptions import CORRUPTIONS, corrupted
from training.data import Mnist

Pixels = np.ndarray


@pytest.fixture
def digits(mnist: Mnist) -> Pixels:
    return mnist.validation.images[:40]


def test_there_are_the_fifteen_of_mnist_c() -> None:
    assert len(CORRUPTIONS) == 15


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_every_image_the_same_way_each_time(name: str, digits: Pixels) -> None:
    before = digits.copy()
    images = corrupted(name, digits)
    assert (images.shape, images.dtype) == (digits.shape, np.uint8)
    assert (np.abs(images.astype(int) - digits).mean(axis=1) > 1).all()
    assert np.array_equal(images, corrupted(name, digits))
    assert np.array_equal(digits, before)


@pytest.mark.parametrize("name", sorted(CORRUPTIONS.keys() - {"shear", "scale", "rotation"}))
def test_a_corrupted_image_is_still_most_like_the_digit_that_it_was(name: str, digits: Pixels) -> None:
    images, steps = corrupted(name, digits).reshape(-1, 28, 28), range(-3, 4)
    shifted = np.stack([np.roll(images, (down, right), axis=(1, 2)).reshape(-1, 784) for down in steps for right in steps])
    likeness = np.einsum("sip,jp->sij", directions(shifted), directions(digits)).max(axis=0)
    assert (likeness.argmax(axis=1) == np.arange(len(digits))).mean() >= 0.55  # by chance 1 in 40


def directions(images: Pixels) -> Pixels:
    """Return `images` (…, N, 784) without what all N have in common, at length 1."""
    different = images - images.mean(axis=-2, keepdims=True)
    return different / np.linalg.norm(different, axis=-1, keepdims=True)


def moved_dots(name: str) -> tuple[Pixels, Pixels]:
    """Return how far right of and below the centre the corruption `name` moves 20 dots that were 8 above it."""
    dots = np.zeros((20, 28, 28), np.uint8)
    dots[:, 5:7, 13:15] = 255
    moved, places = corrupted(name, dots.reshape(-1, 784)).reshape(-1, 28, 28), np.tile(np.arange(28) - 13.5, (20, 1))
    return np.average(places, axis=1, weights=moved.sum(axis=1)), np.average(places, axis=1, weights=moved.sum(axis=2))


@pytest.mark.parametrize(
    ("name", "right", "down"),
    [("shear", 3.2, -8), ("scale", 0, -5.6), ("rotation", 8 * np.sin(0.4), -8 * np.cos(0.4))],
)
def test_a_dot_above_the_centre_goes_where_it_goes_in_mnist_c(name: str, right: float, down: float) -> None:
    rights, downs = moved_dots(name)
    assert np.abs(rights) == pytest.approx(np.full(20, right), abs=0.1)
    assert downs == pytest.approx(np.full(20, down), abs=0.1)
    assert not right or len(set(np.sign(rights))) == 2  # one way or the other


def test_translation_is_three_pixels_along_both_axes() -> None:
    rights, downs = moved_dots("translation")
    assert np.abs(rights) == pytest.approx(np.full(20, 3))
    assert np.abs(downs + 8) == pytest.approx(np.full(20, 3))


def test_an_edge_becomes_a_line_of_one_pixel() -> None:
    half = np.zeros((1, 28, 28), np.uint8)
    half[:, :, 14:] = 255
    edges = corrupted("Canny edges", half.reshape(1, 784)).reshape(28, 28)
    assert (edges[2:-2, 5:20] == 255).sum(axis=1).tolist() == [1] * 24
