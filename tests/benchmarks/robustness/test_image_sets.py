"""The sets of images: their form, their labels, and that what is no digit is none."""

import numpy as np
import pytest

from benchmarks.robustness.image_sets import enlarged, no_digits
from training.data import Mnist, Split


@pytest.fixture
def few(mnist: Mnist) -> Split:
    return Split(mnist.validation.images[:100], mnist.validation.labels[:100])


def test_what_is_no_digit_is_the_same_each_time_and_no_two_sets_share_an_image(few: Split) -> None:
    before, once, again = few.images.copy(), no_digits(few), no_digits(few)
    assert np.array_equal(few.images, before)
    seen = {image.tobytes() for image in few.images}
    for name, images in once.items():
        assert (images.shape[1:], images.dtype) == ((784,), np.uint8), name
        assert np.array_equal(images, again[name]), name
        new = {image.tobytes() for image in images}
        assert not new & seen, name
        seen |= new


def test_digits_that_look_like_themselves_are_left_out(few: Split) -> None:
    made = no_digits(few)
    assert len(made["rotated by a quarter"]) == (few.labels != 0).sum()
    assert len(made["half"]) == (few.labels != 1).sum()
    assert np.array_equal(made["inverted"], 255 - few.images)


def test_half_of_an_image_is_black_and_the_other_half_unchanged(few: Split) -> None:
    whole = few.images[few.labels != 1].reshape(-1, 28, 28)
    for half, image in zip(no_digits(few)["half"].reshape(-1, 28, 28), whole, strict=True):
        kept = [half[:14].any(), half[14:].any(), half[:, :14].any(), half[:, 14:].any()]
        assert sorted(kept) == [False, True, True, True]
        assert np.array_equal(half[half > 0], image[half > 0])


def test_a_small_scan_becomes_a_digit_as_mnist_has_them(mnist: Mnist) -> None:
    image = mnist.validation.images[0].reshape(28, 28)
    scan = image[2:26, 2:26].reshape(8, 3, 8, 3).mean(axis=(1, 3)) * (16 / 255)
    (back,) = enlarged(scan[None])
    assert (back.shape, back.dtype, back.max()) == ((784,), np.uint8, 255)
    assert np.corrcoef(back, image.ravel())[0, 1] > 0.7
