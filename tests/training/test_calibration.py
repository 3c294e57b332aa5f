import keras
import numpy as np
import pytest

from models.architectures import build, with_softmax
from training.calibration import divide_logits, fit_temperature
from training.evaluate import evaluate_probabilities


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    return 3 * np.random.default_rng(0).standard_normal((20_000, 10))


@pytest.fixture(scope="module")
def labels(logits: np.ndarray) -> np.ndarray:
    """Return labels drawn from the probabilities of `logits`, which are perfectly calibrated by that."""
    drawn = softmax(logits).cumsum(axis=1) < np.random.default_rng(1).random((len(logits), 1))
    return drawn.sum(axis=1).clip(max=9).astype(np.uint8)


@pytest.mark.parametrize("wrong_by", [0.5, 0.9, 1.0, 2.0, 4.0])
def test_the_temperature_is_what_the_logits_were_multiplied_by(logits: np.ndarray, labels: np.ndarray, wrong_by: float):
    assert fit_temperature(softmax(wrong_by * logits), labels) == pytest.approx(wrong_by, rel=0.02)


def test_no_other_temperature_has_less_loss(logits: np.ndarray, labels: np.ndarray):
    found = fit_temperature(softmax(2 * logits), labels)
    losses = [evaluate_probabilities(softmax(2 * logits / each), labels).loss for each in (0.97 * found, found, 1.03 * found)]
    assert min(losses) == losses[1]


def test_where_no_answer_is_wrong_the_temperature_stays_finite():
    temperature = fit_temperature(softmax(20 * np.eye(10)), np.arange(10, dtype=np.uint8))
    assert temperature == pytest.approx(0.05)


def test_where_every_answer_is_wrong_the_temperature_stays_finite():
    assert fit_temperature(np.eye(10, dtype=np.float32)[1:], np.zeros(9, np.uint8)) == pytest.approx(20)


def test_a_probability_of_zero_for_the_label_leaves_the_temperature_finite():
    assert 1 < fit_temperature(np.eye(10, dtype=np.float32), np.zeros(10, np.uint8)) <= 20 + 1e-9


@pytest.fixture
def classifier() -> keras.Sequential:
    made, random = with_softmax(build("softmax")), np.random.default_rng(0)
    made.set_weights([random.standard_normal(shape).astype(np.float32) for shape in ((784, 10), (10,))])
    return made


def test_dividing_the_logits_divides_weights_and_biases_and_changes_no_digit(classifier: keras.Sequential):
    pixels = np.random.default_rng(1).integers(0, 256, (200, 784)).astype(np.float32)
    weights, biases = classifier.get_weights()
    before = np.log(np.asarray(classifier(pixels[:5])).astype(np.float64))
    digits = np.asarray(classifier(pixels)).argmax(axis=1)
    divide_logits(classifier, 4.0)
    assert np.array_equal(classifier.get_weights()[0], weights / 4)
    assert np.array_equal(classifier.get_weights()[1], biases / 4)
    after = np.log(np.asarray(classifier(pixels[:5])).astype(np.float64))
    gaps = [each - each.max(axis=1, keepdims=True) for each in (before, after)]
    seen = gaps[0] > -80  # below, float32 has rounded the probability to 0
    np.testing.assert_allclose(gaps[1][seen], gaps[0][seen] / 4, atol=1e-3)
    assert np.array_equal(np.asarray(classifier(pixels)).argmax(axis=1), digits)


def test_only_the_last_layer_with_weights_is_divided():
    layers = [keras.layers.Dense(3, name="first"), keras.layers.Dense(10, name="last"), keras.layers.Softmax()]
    classifier = keras.Sequential([keras.Input((784,)), *layers])
    (first, *_), (last, *_) = (classifier.get_layer(name).get_weights() for name in ("first", "last"))
    divide_logits(classifier, 2.0)
    assert np.array_equal(classifier.get_layer("first").get_weights()[0], first)
    assert np.array_equal(classifier.get_layer("last").get_weights()[0], last / 2)
