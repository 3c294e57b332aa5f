import re
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest

from models.architectures import build, for_litert, with_softmax
from models.card import PARITY_TOLERANCE, Architecture
from tests.support.exporting import exported_to_litert
from tests.support.project import ROOT
from training.data import Mnist

ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)


@pytest.fixture(scope="module")
def weights() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(0, 0.2, (784, 10)).astype(np.float32), random.normal(size=10).astype(np.float32)]


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 256, (20, 784))
    return np.concatenate([np.zeros((1, 784)), np.full((1, 784), 255), noise]).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def answers(classifier: keras.Sequential, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(classifier(pixels))


def test_it_has_7850_trainable_parameters():
    classifier = with_softmax(build("softmax"))
    assert sum(np.prod(each.shape) for each in classifier.trainable_variables) == 7850
    assert classifier.count_params() == 7850


def test_pixels_are_scaled_inside_as_a_computation_by_hand_in_float64_does(weights: list[np.ndarray], pixels: np.ndarray):
    classifier = with_softmax(build("softmax"))
    classifier.set_weights(weights)
    by_hand = softmax(pixels.astype(np.float64) / 255 @ weights[0].astype(np.float64) + weights[1])
    probabilities = answers(classifier, pixels)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, by_hand, rtol=0, atol=1e-5)


def test_the_linear_twin_answers_the_logits_of_the_same_probabilities(weights: list[np.ndarray], pixels: np.ndarray):
    linear, classifier = build("softmax"), with_softmax(build("softmax"))
    linear.set_weights(weights)
    classifier.set_weights(weights)
    logits = answers(linear, pixels).astype(np.float64)
    assert logits.min() < 0
    np.testing.assert_allclose(softmax(logits), answers(classifier, pixels), rtol=0, atol=1e-6)


def test_pixels_are_scaled_in_one_place_only():
    # How opaque a pixel of a picture is, its alpha, is not what the model is given.
    scaling = re.compile(r"(?<!alpha )/\s*(255|MAX_PIXEL)\b|\b0?\.0039")
    sources = (path for folder in ("models", "training", "service") for path in (ROOT / folder).rglob("*.py"))
    assert [path.relative_to(ROOT).as_posix() for path in sources if scaling.search(path.read_text())] == [
        "models/architectures.py"
    ]


def test_a_sum_in_parts_is_the_same_function_with_the_same_number_of_parameters(weights: list[np.ndarray], pixels: np.ndarray):
    classifier = with_softmax(build("softmax"))
    classifier.set_weights(weights)
    in_parts = for_litert(classifier)
    assert in_parts.count_params() == 7850
    np.testing.assert_allclose(np.asarray(in_parts(pixels)), answers(classifier, pixels), rtol=0, atol=2e-5)


def test_a_sum_in_parts_scales_by_the_layer_of_the_classifier_and_has_no_scaling_of_its_own():
    classifier = with_softmax(build("softmax"))
    assert classifier.layers[0] in for_litert(classifier).layers


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request: pytest.FixtureRequest, mnist: Mnist) -> keras.Sequential:
    """Return a model with weights as drawn at its start, and its batch normalisation as some passes over digits leave it."""
    keras.utils.set_random_seed(0)
    model = build(request.param)
    for _ in range(10):
        model(mnist.train.images[:100].astype(np.float32), training=True)
    return model


@pytest.fixture(scope="module")
def digits(mnist: Mnist) -> np.ndarray:
    return mnist.test.images[:200].astype(np.float32)


def test_every_architecture_answers_ten_logits_of_raw_pixels(model: keras.Sequential, digits: np.ndarray):
    logits = answers(model, digits)
    assert (logits.shape, logits.dtype) == ((200, 10), np.float32)
    assert logits.min() < 0 < logits.max()


def test_the_classifier_answers_the_softmax_of_the_logits_with_batch_normalisation_folded(
    model: keras.Sequential, digits: np.ndarray
):
    classifier = with_softmax(model)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in classifier.layers)
    expected = softmax(answers(model, digits).astype(np.float64))
    np.testing.assert_allclose(answers(classifier, digits), expected, rtol=0, atol=2e-6)


def test_the_last_two_layers_of_a_classifier_are_the_dense_one_and_the_softmax(model: keras.Sequential):
    dense, softmax = with_softmax(model).layers[-2:]
    assert isinstance(dense, keras.layers.Dense)
    assert dense.activation is keras.activations.linear
    assert isinstance(softmax, keras.layers.Softmax)


def test_a_saved_classifier_is_the_same_when_it_is_loaded(model: keras.Sequential, digits: np.ndarray, tmp_path: Path):
    classifier = with_softmax(model)
    classifier.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, keras.Sequential)
    np.testing.assert_array_equal(answers(loaded, digits), answers(classifier, digits))


def test_litert_answers_what_keras_does_and_an_image_alike_bit_for_bit_in_every_batch(
    model: keras.Sequential, digits: np.ndarray, tmp_path: Path
):
    classifier = with_softmax(model)
    run = exported_to_litert(for_litert(classifier), tmp_path)
    together = run(digits)
    np.testing.assert_allclose(together, answers(classifier, digits), rtol=0, atol=PARITY_TOLERANCE)
    for size in (1, 2, 3, 5, 8, 13, 64, 131):
        np.testing.assert_array_equal(run(digits[-size:]), together[-size:])
