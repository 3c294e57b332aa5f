"""Printed characters and scribbles have the form of MNIST's images."""

import numpy as np
import pytest

from tests.support.pictures import is_like
from training.drawing import FONTS, LETTERS, PUNCTUATION, STROKES, printed, scribbles


def is_in_mnists_form(images: np.ndarray) -> bool:
    sizes = {size_of(image > 0) for image in images.reshape(-1, 28, 28)}
    return images.dtype == np.uint8 and bool((images.max(axis=1) == 255).all()) and sizes <= {18, 19, 20}


def size_of(ink: np.ndarray) -> int:
    return max(int(np.ptp(axis)) + 1 for axis in np.nonzero(ink))


@pytest.mark.parametrize("stroke", STROKES)
def test_every_font_has_ten_digits_of_its_own(stroke) -> None:
    images = printed("0123456789", stroke)
    assert images.shape == (10 * len(FONTS), 784)
    assert is_in_mnists_form(images)
    for font in images.reshape(len(FONTS), 10, 784):
        assert len(np.unique(font, axis=0)) == 10


def test_a_character_is_much_the_same_in_related_fonts() -> None:
    images = dict(zip(FONTS, printed("7").reshape(-1, 28, 28), strict=True))
    assert is_like(images["DejaVuSans"], images["DejaVuSansMono"])


def test_thick_strokes_have_more_ink_than_regular_and_thin_ones_less() -> None:
    ink = {stroke: printed("0123456789", stroke).astype(int).sum(axis=1) for stroke in STROKES}
    assert (ink["thick"] > ink["regular"]).mean() > 0.95
    assert (ink["thin"] < ink["regular"]).mean() > 0.95
    assert (ink["thin"] > ink["regular"] / 3).all()


def test_no_letter_or_mark_is_one_that_reads_as_a_digit() -> None:
    assert not set("OoIl|/\\'`0123456789") & set(LETTERS + PUNCTUATION)
    assert len(LETTERS) == 48
    assert is_in_mnists_form(printed(LETTERS))
    assert is_in_mnists_form(printed(PUNCTUATION))


def test_scribbles_are_all_different_and_the_same_each_time() -> None:
    images = scribbles(20, np.random.default_rng(3))
    assert is_in_mnists_form(images)
    assert len(np.unique(images, axis=0)) == 20
    assert np.array_equal(images, scribbles(20, np.random.default_rng(3)))
