import numpy as np
import pytest

from models.digits import EXPECTED, INVERTED_HINT, SCALED_HINT, check_images, hint_about
from training.data import Mnist


@pytest.mark.parametrize("dtype", ["u1", "i2", "i8", "u8", "f2", "f4", "f8", ">i2", ">f4", ">f8"])
def test_real_numbers_of_any_width_and_byte_order_become_float32(dtype: str):
    pixels = np.arange(2 * 784).reshape(2, 784) % 256
    checked = check_images(pixels.astype(dtype))
    assert checked.dtype == np.float32
    assert np.array_equal(checked, pixels)


def test_rows_of_28_by_28_images_are_laid_end_to_end():
    images = np.arange(3 * 784, dtype=np.int64).reshape(3, 28, 28) % 256
    checked = check_images(images)
    assert checked.shape == (3, 784)
    assert np.array_equal(checked[1, 28:56], images[1, 1])


def test_images_that_are_a_view_come_back_in_one_piece():
    every_other = np.full((4, 1568), 7.0)[::2, ::2]
    assert check_images(every_other).flags.c_contiguous


@pytest.mark.parametrize("dtype", ["bool", "c8", "U3", "S3", "O", "M8[s]"])
def test_what_is_not_a_real_number_is_refused_by_type(dtype: str):
    with pytest.raises(ValueError, match="not real numbers") as refused:
        check_images(np.zeros((1, 784), np.uint8).astype(dtype))
    assert str(np.dtype(dtype)) in str(refused.value)
    assert EXPECTED in str(refused.value)


@pytest.mark.parametrize(
    "shape", [(), (784,), (2, 783), (2, 785), (1, 28, 27), (28, 28), (1, 1, 784), (1, 28, 28, 1), (784, 1)]
)
def test_another_shape_is_refused_with_both_shapes(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"not \(N, 784\) or \(N, 28, 28\)") as refused:
        check_images(np.zeros(shape))
    assert f"shape {shape}" in str(refused.value)


@pytest.mark.parametrize("shape", [(0, 784), (0, 28, 28)])
def test_no_image_at_all_is_refused(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"empty.*at least one image"):
        check_images(np.zeros(shape))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (256, "256"),
        (-1, "-1"),
        (255.000001, "255.000001"),
        (np.nan, "nan"),
        (np.inf, "inf"),
        (-np.inf, "-inf"),
        (1e300, "1e+300"),
    ],
)
def test_the_first_value_out_of_range_is_named_by_place_and_value(value: float, written: str):
    images = np.zeros((3, 784))
    images[1, 3] = images[1, 700] = images[2, 0] = value
    with pytest.raises(ValueError, match="images") as refused:
        check_images(images)
    assert str(refused.value) == f"images[1][3] is {written}; {EXPECTED}."


def test_a_value_out_of_range_in_a_28_by_28_image_is_named_by_row_and_column():
    images = np.zeros((2, 28, 28), np.int16)
    images[1, 2, 5] = 300
    with pytest.raises(ValueError, match=r"^images\[1\]\[2\]\[5\] is 300; "):
        check_images(images)


def test_255_is_not_named_where_it_stands_before_the_first_value_out_of_range():
    images = np.full((1, 784), 255.0)
    images[0, 5] = 256
    with pytest.raises(ValueError, match=r"^images\[0\]\[5\] is 256; "):
        check_images(images)


def test_the_ends_of_the_range_are_inside():
    assert check_images(np.array([[0.0, 255.0] * 392])).max() == 255
    assert check_images(np.full((1, 784), -0.0)).max() == 0


def test_scaled_images_get_a_hint():
    assert hint_about(check_images(np.full((1, 784), 0.5))) == SCALED_HINT


def test_scaled_images_get_a_hint_where_some_are_all_ones():
    assert hint_about(check_images(np.stack([np.ones(784), np.full(784, 0.5)]))) == SCALED_HINT


@pytest.mark.parametrize("value", [1.5, 100.5])
def test_one_pixel_with_a_fraction_above_1_is_no_sign_of_scaling(value: float):
    images = np.zeros((1, 784))
    images[0, 400] = value
    assert hint_about(check_images(images)) is None


def test_an_inverted_image_among_others_gets_a_hint():
    assert hint_about(check_images(np.stack([np.zeros(784), np.full(784, 200)]))) == INVERTED_HINT


def test_an_image_is_bright_nearly_everywhere_above_a_mean_of_127():
    images = np.full((1, 784), 127.0)
    assert hint_about(check_images(images)) is None
    images[0, 0] = 128
    assert hint_about(check_images(images)) == INVERTED_HINT


@pytest.mark.parametrize("value", [0, 1])
def test_a_black_image_or_one_of_zeros_and_ones_may_be_meant(value: int):
    assert hint_about(check_images(np.full((1, 784), value))) is None


def test_the_brightest_digit_of_mnist_gets_no_hint_but_does_inverted(mnist: Mnist):
    images = np.concatenate([split.images for split in (mnist.train, mnist.validation, mnist.test)])
    brightest = images[images.mean(axis=1, dtype=np.float32).argmax()][None]
    assert hint_about(check_images(brightest)) is None
    assert hint_about(check_images(255 - brightest)) == INVERTED_HINT
