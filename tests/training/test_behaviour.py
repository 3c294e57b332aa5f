"""The behaviour tests find what is wrong with readers made to fail one of them, and pass what a fitted model does."""

from pathlib import Path

import keras
import numpy as np
import pytest

from models.card import KERAS_FILE
from training.behaviour import FLOORS, below_floor, measure
from training.data import Mnist, Split
from training.drawing import STROKES, printed
from training.evaluate import probabilities_of
from training.recipes import RECIPES

PRINTED, ONE_PIXEL, LIGHT, NOISE = "printed digits, {} strokes", *list(FLOORS["conv"])[-3:]


@pytest.fixture
def few(mnist: Mnist) -> Split:
    return Split(mnist.validation.images[:50], mnist.validation.labels[:50])


def sure_of(digits: np.ndarray, confidence: float | np.ndarray = 0.9) -> np.ndarray:
    """Return float32 probabilities (N, 10) with `confidence` in `digits`."""
    probabilities = np.zeros((len(digits), 10), np.float32)
    probabilities[np.arange(len(digits)), digits] = confidence
    return probabilities


def test_a_reader_that_knows_the_printed_digits_reads_them_all(few: Split) -> None:
    known = {image.tobytes(): place % 10 for stroke in STROKES for place, image in enumerate(printed("0123456789", stroke))}
    shares = measure(lambda images: sure_of(np.array([known.get(image.tobytes(), 0) for image in images])), few)
    assert [shares[PRINTED.format(stroke)] for stroke in STROKES] == [1, 1, 1]


def test_a_reader_that_always_says_three_reads_a_tenth_is_never_moved_and_no_less_sure_in_noise(few: Split) -> None:
    shares = measure(lambda images: sure_of(np.full(len(images), 3)), few)
    assert shares[PRINTED.format("regular")] == pytest.approx(0.1)
    assert (shares[ONE_PIXEL], shares[LIGHT], shares[NOISE]) == (1, 1, 0)


def test_a_reader_of_single_pixels_fails_when_they_move(few: Split) -> None:
    # The parity of the sum of the even columns: a step to the right takes other pixels.
    shares = measure(lambda images: sure_of(images[:, ::2].astype(int).sum(axis=1) % 2), few)
    assert 0.3 < shares[ONE_PIXEL] < 0.9


def test_a_reader_of_the_darkest_pixel_fails_when_it_gets_lighter(few: Split) -> None:
    shares = measure(lambda images: sure_of((images.min(axis=1) > 0).astype(int)), few)
    assert shares[LIGHT] == 0.5
    assert shares[ONE_PIXEL] == 1


def test_a_reader_that_noise_makes_surer_fails(few: Split) -> None:
    shares = measure(lambda images: sure_of(np.zeros(len(images), int), images.mean(axis=1) / 255), few)
    assert shares[NOISE] < 0.1
    shares = measure(lambda images: sure_of(np.zeros(len(images), int), 1 - images.mean(axis=1) / 255), few)
    assert shares[NOISE] > 0.9


def test_the_baseline_is_above_every_floor(published_store: Path, mnist: Mnist) -> None:
    version = (published_store / "latest").read_text()
    classifier = keras.models.load_model(published_store / version / KERAS_FILE)
    assert isinstance(classifier, keras.Sequential)
    shares = measure(lambda images: probabilities_of(classifier, images), mnist.validation)
    assert below_floor("baseline", shares) is None


def test_every_test_has_a_floor_for_every_recipe_that_may_be_published(few: Split) -> None:
    tests = measure(lambda images: sure_of(np.zeros(len(images), int)), few).keys()
    assert all(floors.keys() == tests for floors in FLOORS.values())
    assert FLOORS.keys() == {recipe.name for recipe in RECIPES.values() if recipe.batches == "all"}


@pytest.mark.parametrize("name", FLOORS["conv"])
def test_what_is_below_its_floor_is_named_with_both_figures(name: str) -> None:
    at_the_floor = dict(FLOORS["conv"])
    assert below_floor("conv", at_the_floor) is None
    expected = f"{name}: 45.67% passed; at least {FLOORS['conv'][name]:.2%} is required of conv"
    assert below_floor("conv", at_the_floor | {name: 0.4567}) == expected
    assert below_floor("conv", at_the_floor | {name: float("nan")}) is not None
