"""A picture of a digit, cropped, gets the size, the place and the light of MNIST's images."""

import numpy as np
import pytest

from models.mnist_form import in_mnist_form
from training.data import Mnist


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (60, 7), (200, 200)])
def test_the_longer_side_becomes_20_pixels(shape: tuple[int, int]) -> None:
    image = in_mnist_form(np.full(shape, 7, np.float32))
    assert (image.shape, image.dtype, image.max()) == ((28, 28), np.uint8, 255)
    assert max(image.any(axis=0).sum(), image.any(axis=1).sum()) == 20


def test_the_centre_of_mass_comes_to_the_middle() -> None:
    foreground = np.ones((40, 40), np.float32)
    foreground[20:, 10:] = 0.2
    image = in_mnist_form(foreground)
    for axis in (0, 1):
        assert np.average(np.arange(28), weights=image.sum(axis=1 - axis)) == pytest.approx(14, abs=0.51)


def test_mnists_own_digits_are_in_this_form(mnist: Mnist) -> None:
    for image in mnist.test.images[:50].reshape(-1, 28, 28):
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        cropped = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
        if max(cropped.shape) == 20:
            assert np.abs(in_mnist_form(cropped).astype(int) - image).mean() < 3
