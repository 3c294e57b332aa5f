import re

import keras
import numpy as np
import pytest

from models.architectures import build_softmax_classifier, with_sum_in_parts
from tests.support.project import ROOT


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
    classifier = build_softmax_classifier()
    assert sum(np.prod(each.shape) for each in classifier.trainable_variables) == 7850
    assert classifier.count_params() == 7850


def test_pixels_are_scaled_inside_as_a_computation_by_hand_in_float64_does(weights: list[np.ndarray], pixels: np.ndarray):
    classifier = build_softmax_classifier()
    classifier.set_weights(weights)
    by_hand = softmax(pixels.astype(np.float64) / 255 @ weights[0].astype(np.float64) + weights[1])
    probabilities = answers(classifier, pixels)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, by_hand, rtol=0, atol=1e-5)


def test_the_linear_twin_answers_the_logits_of_the_same_probabilities(weights: list[np.ndarray], pixels: np.ndarray):
    linear, classifier = build_softmax_classifier("linear"), build_softmax_classifier()
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
    classifier = build_softmax_classifier()
    classifier.set_weights(weights)
    in_parts = with_sum_in_parts(classifier)
    assert in_parts.count_params() == 7850
    np.testing.assert_allclose(np.asarray(in_parts(pixels)), answers(classifier, pixels), rtol=0, atol=2e-5)


def test_a_sum_in_parts_scales_by_the_layer_of_the_classifier_and_has_no_scaling_of_its_own():
    classifier = build_softmax_classifier()
    assert classifier.layers[0] in with_sum_in_parts(classifier).layers
