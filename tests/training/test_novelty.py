"""The score by hand, what it does to images that are no digits, and the knots that make a share of it."""

import keras
import numpy as np
import pytest

from models.novelty import knots_of, novelty_share
from training.data import Mnist, Split
from training.novelty import fit_knots, fit_subspaces, novelty_model, scores_of


@pytest.fixture(scope="module")
def train(mnist: Mnist) -> Split:
    return Split(mnist.train.images[:20_000], mnist.train.labels[:20_000])


@pytest.fixture(scope="module")
def model(train: Split) -> keras.Model:
    return novelty_model(train)


@pytest.fixture(scope="module")
def digits(mnist: Mnist) -> np.ndarray:
    return mnist.validation.images[:1000]


def by_hand(train: Split, images: np.ndarray) -> np.ndarray:
    """Return the weighted distances from the nearest subspace of images brought to length 1, and 1, in float64."""
    subspaces, scores = fit_subspaces(train), []
    for image in images:
        pooled = image.astype(np.float64).reshape(14, 2, 14, 2).mean(axis=(1, 3)).ravel()
        unit = pooled / np.sqrt(pooled @ pooled + 1)
        missed = [1 - np.sum((directions @ unit) ** 2) for directions in subspaces.directions]
        scores.append(1 + np.min(missed * subspaces.weights))
    return np.array(scores)


def test_the_score_is_what_the_nearest_subspace_misses(train: Split, model: keras.Model, digits: np.ndarray):
    scores = scores_of(model, digits[:100])
    assert (scores.dtype, scores.shape) == (np.float32, (100,))
    np.testing.assert_allclose(scores, by_hand(train, digits[:100]), rtol=1e-6)


def test_the_directions_of_a_subspace_are_orthonormal(train: Split):
    for directions in fit_subspaces(train).directions:
        np.testing.assert_allclose(directions @ directions.T, np.eye(len(directions)), atol=1e-9)


def test_contrast_hardly_changes_a_score(model: keras.Model, digits: np.ndarray):
    faint = (digits // 2).astype(np.uint8)
    np.testing.assert_allclose(scores_of(model, 2 * faint), scores_of(model, faint), rtol=1e-4)


def changed(digits: np.ndarray) -> dict[str, np.ndarray]:
    """Return what is no digit, made of digits."""
    pictures, random = digits.reshape(-1, 28, 28), np.random.default_rng(0)
    halves = np.concatenate([pictures[:, :, 4:24:2], pictures[::-1, :, 4:24:2]], axis=2)
    return {
        "rotated by 90°": np.rot90(pictures, axes=(1, 2)),
        "the upper half": np.roll(np.where(np.arange(28)[:, None] < 14, pictures, 0), 7, axis=1),
        "two at once": np.pad(halves, ((0, 0), (0, 0), (4, 4))),
        "shifted by 8 pixels": np.roll(pictures, 8, axis=2),
        "inverted": 255 - pictures,
        "noise": random.integers(0, 256, pictures.shape),
        "black": np.zeros_like(pictures),
    }


def test_what_is_no_digit_scores_higher_than_digits(model: keras.Model, digits: np.ndarray):
    usual = np.sort(scores_of(model, digits))
    for name, pictures in changed(digits).items():
        scores = scores_of(model, pictures.reshape(-1, 784).astype(np.uint8))
        area_under_roc = (np.searchsorted(usual, scores) / len(usual)).mean()
        assert area_under_roc > 0.9, name


def test_a_digit_without_training_images_leaves_the_scores_finite(train: Split, digits: np.ndarray):
    few = train.labels[:300] != 4
    scores = scores_of(novelty_model(Split(train.images[:300][few], train.labels[:300][few])), digits)
    assert np.isfinite(scores).all()


def test_the_knots_are_at_most_64_ascend_and_end_at_the_highest_score():
    scores = np.random.default_rng(0).gamma(3, size=5000).astype(np.float32)
    at, shares = np.array(fit_knots(scores).knots).T
    assert 32 < len(at) <= 64
    assert np.all(np.diff(at) > 0)
    assert np.all(np.diff(shares) > 0)
    assert (at[0], at[-1], shares[0], shares[-1]) == (scores.min(), scores.max(), 0, 1)


def test_the_share_is_that_of_the_scores_below_to_a_few_thousandths():
    scores = np.random.default_rng(0).gamma(3, size=5000).astype(np.float32)
    found = novelty_share(np.sort(scores), knots_of(fit_knots(scores)))
    below = np.arange(5000) / 4999
    assert np.abs(found - below).max() < 0.01
    assert np.abs(found - below)[below > 0.99].max() < 0.0005


def test_equal_scores_make_one_knot():
    assert fit_knots(np.full(100, 1.5, np.float32)).knots == ((1.5, 1.0),)
