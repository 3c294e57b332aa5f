import keras
import numpy as np
import pytest
from PIL import Image

from models.architectures import build_deskew
from tests.support.exporting import OneOutput, exported_to_litert
from training.data import Mnist


@pytest.fixture(scope="module")
def deskew() -> keras.Sequential:
    return build_deskew()


@pytest.fixture(scope="module")
def litert(deskew: keras.Sequential, tmp_path_factory: pytest.TempPathFactory) -> OneOutput:
    return exported_to_litert(deskew, tmp_path_factory.mktemp("deskew"))


@pytest.fixture(scope="module")
def digits(mnist: Mnist) -> np.ndarray:
    return mnist.test.images[:500].astype(np.float32)


def deskewed(deskew: keras.Sequential, images: np.ndarray) -> np.ndarray:
    return np.asarray(deskew(images.reshape(-1, 784).astype(np.float32)))


def moments(images: np.ndarray) -> np.ndarray:
    """Return x and y of each image's centre, and the covariances xx, xy, yy of its ink, in float64: shape (5, N)."""
    ink = np.maximum(images.reshape(-1, 28, 28).astype(np.float64) - 32, 0)
    ink /= ink.sum(axis=(1, 2), keepdims=True)
    y, x = np.indices((28, 28))
    centre_x, centre_y = (ink * x).sum(axis=(1, 2)), (ink * y).sum(axis=(1, 2))
    x, y = x - centre_x[:, None, None], y - centre_y[:, None, None]
    return np.stack([centre_x, centre_y, *((ink * each).sum(axis=(1, 2)) for each in (x * x, x * y, y * y))])


def by_hand(image: np.ndarray) -> np.ndarray:
    """Return the deskewed image of one (28, 28), by Pillow's affine transform with the moments in float64."""
    x, y, xx, xy, yy = moments(image)[:, 0]
    slant = xy / yy
    across, down = np.sqrt(max(xx - slant * xy, 1)) / 4, np.sqrt(yy) / 5
    # Pillow counts from a pixel's corner, half a pixel earlier; the room around is what lies outside.
    first = x + 8.5 - 14 * across - 14 * slant * down
    matrix = (across, slant * down, first, 0, down, y + 8.5 - 14 * down)
    with_room = Image.fromarray(np.pad(image.astype(np.float32), 8))
    return np.asarray(with_room.transform((28, 28), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))


def test_it_has_nothing_to_learn(deskew: keras.Sequential):
    assert deskew.count_params() == 0


def test_the_centre_slant_and_size_of_every_digit_become_the_same(deskew: keras.Sequential, digits: np.ndarray):
    x, y, xx, xy, yy = moments(deskewed(deskew, digits))
    # Not exact: interpolation blurs, a straight 1 is widened only so far, and what goes beyond the picture is cut off.
    for measured, expected in ((x, 13.5), (y, 13.5), (np.sqrt(xx), 4), (np.sqrt(yy), 5)):
        assert abs(np.median(measured) - expected) < 0.06
        assert np.percentile(np.abs(measured - expected), 80) < 0.15
    assert np.percentile(np.abs(xy / yy), 80) < 0.02


def test_it_computes_what_an_affine_transform_by_the_moments_does(deskew: keras.Sequential, digits: np.ndarray):
    images = list(digits[:200].reshape(-1, 28, 28))
    expected = np.stack([by_hand(each) for each in images]).reshape(-1, 784)
    np.testing.assert_allclose(deskewed(deskew, np.stack(images)), expected, rtol=0, atol=0.05)


def test_a_digit_moved_by_whole_pixels_is_deskewed_alike(deskew: keras.Sequential, digits: np.ndarray):
    images = digits[:100].reshape(-1, 28, 28)
    moved = np.roll(images, (2, -3), axis=(1, 2))
    stayed_whole = (images[:, -2:].max(axis=(1, 2)) == 0) & (images[:, :, :3].max(axis=(1, 2)) == 0)
    assert stayed_whole.sum() > 50
    first, second = (deskewed(deskew, each[stayed_whole]) for each in (images, moved))
    np.testing.assert_allclose(first, second, rtol=0, atol=0.01)


def test_a_slightly_lighter_background_is_no_ink(deskew: keras.Sequential, digits: np.ndarray):
    lighter = np.clip(digits[:100] + 13, 0, 255)
    difference = np.abs(deskewed(deskew, lighter) - deskewed(deskew, digits[:100]))
    assert difference.mean(axis=1).max() <= 13


def test_blank_images_stay_blank_and_single_pixels_and_full_images_stay_within_the_range_of_pixels(deskew: keras.Sequential):
    images = np.zeros((787, 784), np.float32)
    images[np.arange(784), np.arange(784)] = 255
    images[785] = 255
    images[786] = 1e-30
    pixels = deskewed(deskew, images)
    assert pixels.min() >= 0
    assert pixels.max() <= 255
    assert not pixels[784].any()
    assert (pixels[:784].max(axis=1) > 100).all()


def test_litert_computes_the_same_bits_in_every_batch(deskew: keras.Sequential, litert: OneOutput, digits: np.ndarray):
    expected = deskewed(deskew, digits)
    for size in (1, 7, 500):
        np.testing.assert_array_equal(litert(digits[:size]).reshape(-1, 784), expected[:size])
