import numpy as np
import pytest
import tensorflow as tf

from training.augmentation import augmented
from training.data import Split


@pytest.fixture(scope="module", autouse=True)
def deterministic() -> None:
    """Make operations deterministic, as a fit does."""
    tf.config.experimental.enable_op_determinism()


@pytest.fixture(scope="module")
def digits() -> Split:
    """Return 300 squares in the middle of an image, which are larger the higher the digit is."""
    labels = (np.arange(300) % 10).astype(np.uint8)
    distance = np.abs(np.indices((28, 28)) - 13.5).max(axis=0)
    return Split(np.where(distance < 3 + labels[:, None, None] * 0.75, 255, 0).astype(np.uint8).reshape(-1, 784), labels)


def epoch(batches: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    images, one_hot = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(one_hot)


def test_the_same_seed_gives_the_same_epochs_bit_for_bit(digits: Split):
    first, second = (augmented(digits, 64, seed=3) for _ in range(2))
    for _ in range(2):
        for one, other in zip(epoch(first), epoch(second), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_every_epoch_changes_the_images_in_another_way_and_in_another_order(digits: Split, seed: int):
    batches = augmented(digits, 64, seed)
    (first, first_labels), (second, second_labels) = epoch(batches), epoch(batches)
    assert not np.array_equal(first_labels, second_labels)
    assert np.unique(np.concatenate([first, second]), axis=0).shape == (600, 784)


def test_another_seed_gives_other_images(digits: Split):
    assert not np.array_equal(epoch(augmented(digits, 300, 0))[0], epoch(augmented(digits, 300, 1))[0])


def test_an_epoch_has_every_image_once_and_its_number_of_batches_is_known(digits: Split):
    batches = augmented(digits, 64, 0)
    assert int(batches.cardinality()) == 5
    assert [len(images) for images, _ in batches] == [64, 64, 64, 64, 44]
    assert epoch(batches)[1].sum(axis=0).tolist() == [30] * 10


def test_a_label_stays_with_its_image(digits: Split):
    images, one_hot = epoch(augmented(digits, 64, 0))
    sizes = [np.median((images[one_hot[:, digit] == 1] > 100).sum(axis=1)) for digit in (0, 3, 6, 9)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2 * sizes[0]


def test_pixels_stay_pixels(digits: Split):
    images, one_hot = epoch(augmented(digits, 64, 0))
    assert (images.shape, images.dtype, one_hot.dtype) == ((300, 784), np.float32, np.float32)
    assert images.min() >= 0
    assert images.max() <= 255


def test_most_digits_are_moved_and_hardly_any_leaves_the_picture(digits: Split):
    images = epoch(augmented(digits, 64, 0))[0].reshape(-1, 28, 28)
    y, x = np.indices((28, 28)) - 13.5
    is_plain = np.percentile(images, 40, axis=(1, 2)) == 0
    plain = images[is_plain]
    centres = np.stack([(plain * each).sum(axis=(1, 2)) / plain.sum(axis=(1, 2)) for each in (x, y)])
    assert is_plain.sum() > 60
    assert np.median(np.abs(centres)) > 0.5
    assert np.percentile(np.abs(centres), 90) < 5
