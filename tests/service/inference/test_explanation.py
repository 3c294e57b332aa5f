"""Which pixels an answer rests on: exact for linear models, by taking ink away for others."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from service.inference.explanation import LinearExplainer, Pixels, occlude


def test_of_a_linear_model_the_bias_and_the_pixels_are_the_logit() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, 784)).astype(np.float32)
    weights, biases = random.normal(size=(784, 10)).astype(np.float32), random.normal(size=10).astype(np.float32)
    digits = np.array([7, 0, 7])
    found = LinearExplainer(weights, biases).explain(images, digits)
    logits = (images / 255 @ weights + biases)[np.arange(3), digits]
    assert found.method == "linear"
    assert found.pictures is None
    assert found.biases is not None
    np.testing.assert_allclose(found.scores, logits, rtol=1e-4)
    np.testing.assert_allclose(found.biases + found.pixels.sum(axis=1), logits, rtol=1e-4)


def test_where_the_model_brings_images_into_another_form_the_evidence_is_of_that_and_comes_with_it() -> None:
    images = np.arange(2 * 784, dtype=np.float32).reshape(2, 784) % 256
    weights, biases = np.ones((784, 10), np.float32), np.zeros(10, np.float32)
    found = LinearExplainer(weights, biases, prepare=lambda received: received[:, ::-1]).explain(images, np.array([1, 2]))
    assert found.pictures is not None
    assert np.array_equal(found.pictures, images[:, ::-1])
    np.testing.assert_allclose(found.pixels, images[:, ::-1] / np.float32(255))


def test_the_logit_is_the_exact_sum_of_what_the_pixels_add() -> None:
    weights = np.ones((784, 10), np.float32)
    weights[0], weights[-1] = 1e9, -1e9  # a float32 sum would lose the ones between
    digits = np.array([2])
    found = LinearExplainer(weights, np.zeros(10, np.float32)).explain(np.full((1, 784), 255, np.float32), digits)
    assert (found.scores.dtype, found.scores.tolist()) == (np.float32, [782])
    assert found.digits is digits


@pytest.mark.parametrize("prepare", [None, lambda received: 255 - received])
def test_probabilities_that_follow_from_the_weights_are_their_softmax(prepare: Callable[[Pixels], Pixels] | None) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, 784)).astype(np.float32)
    images[1] /= 100
    weights, biases = random.normal(size=(784, 10)).astype(np.float32), random.normal(size=10).astype(np.float32)
    pixels = prepare(images) if prepare else images
    powers = np.exp(pixels.astype(np.float64) / 255 @ weights + biases)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(LinearExplainer(weights, biases, prepare).probabilities(images), expected, atol=1e-4)


def test_probabilities_of_logits_that_are_far_from_zero_are_numbers() -> None:
    weights = np.zeros((784, 10), np.float32)
    weights[0], weights[1] = 1000, -1000
    images = np.zeros((2, 784), np.float32)
    images[0, 0] = images[1, 1] = 255
    probabilities = LinearExplainer(weights, np.zeros(10, np.float32)).probabilities(images)
    np.testing.assert_allclose(probabilities, 0.1, rtol=1e-6)


def square(top: int, left: int, size: int = 6) -> np.ndarray:
    image = np.zeros((28, 28), np.float32)
    image[top : top + size, left : left + size] = 255
    return image.reshape(784)


class InkCounter:
    """A model whose digit 3 grows more probable with the ink in the upper half, and nothing with the rest."""

    def __init__(self) -> None:
        self.computed = 0

    async def compute(self, images: Pixels) -> Pixels:
        self.computed += len(images)
        ink = images[:, :392].mean(axis=1) / 20
        probabilities = np.full((len(images), 10), 0.05, np.float32)
        probabilities[:, 3] = ink
        return probabilities / probabilities.sum(axis=1, keepdims=True)


def test_without_linear_weights_the_ink_that_the_answer_rests_on_is_found_by_taking_it_away() -> None:
    model = InkCounter()
    image = square(4, 4) + square(20, 20)
    found = asyncio.run(occlude(image[np.newaxis], np.array([3]), model.compute))
    pixels = found.pixels.reshape(28, 28)
    assert (found.method, found.biases, found.pictures) == ("occlusion", None, None)
    assert found.scores[0] == pytest.approx(np.log((36 * 255 / 392 / 20) / 0.45), rel=1e-3)
    assert pixels[4:10, 4:10].min() > 0
    assert np.abs(pixels[20:26, 20:26]).max() < 1e-5
    assert not pixels[image.reshape(28, 28) == 0].any()


def test_each_image_is_explained_alone_and_patches_without_ink_are_not_computed() -> None:
    model = InkCounter()
    images = np.stack([square(4, 4), square(0, 20), np.zeros(784, np.float32)])
    together = asyncio.run(occlude(images, np.array([3, 3, 3]), model.compute))
    assert model.computed < 60
    for place in range(3):
        alone = asyncio.run(occlude(images[place : place + 1], np.array([3]), model.compute))
        assert np.array_equal(alone.pixels[0], together.pixels[place])
        part = together.part(slice(place, place + 1))
        assert np.array_equal(part.pixels, alone.pixels)
        assert (part.method, part.digits, part.scores) == (alone.method, alone.digits, alone.scores)
    assert not together.pixels[2].any()


def test_a_patch_shares_its_fall_among_its_pixels_by_ink_and_a_pixel_has_the_mean_of_its_patches() -> None:
    image = (square(4, 4, size=1) / 255 + square(0, 0, size=1) * 0.2 + square(0, 1, size=1) * 0.6).astype(np.float32)
    found = asyncio.run(occlude(image[np.newaxis], np.array([3]), InkCounter().compute))
    inks = {"corner": 0.8 * 255, "alone": 1.0}
    falls = {name: np.log(sum(inks.values()) / (sum(inks.values()) - ink)) for name, ink in inks.items()}
    pixels = found.pixels.reshape(28, 28)
    assert (found.scores.dtype, found.pixels.dtype) == (np.float32, np.float32)
    assert pixels[0, :2] == pytest.approx(falls["corner"] * np.array([0.25, 0.75]), rel=1e-4)
    assert pixels[4, 4] == pytest.approx(falls["alone"], rel=1e-2)


def test_the_last_row_and_column_can_be_evidence() -> None:
    image = square(22, 22).reshape(28, 28)[::-1].reshape(784)  # in the upper right corner, to the edge
    found = asyncio.run(occlude(image[np.newaxis], np.array([3]), InkCounter().compute))
    assert found.pixels.reshape(28, 28)[0, 27] > 0
