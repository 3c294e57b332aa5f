import math
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from training.data import Mnist, read_mnist
from training.evaluate import evaluate
from training.fit import Fit, fit
from training.recipes import RECIPES, Recipe

THREE_EPOCHS = replace(RECIPES["baseline"], epochs=3)
FITTED = [name for name in RECIPES if RECIPES[name].batches == "all"]


@pytest.fixture(scope="module")
def tiny(tiny_data: Path) -> Mnist:
    return read_mnist(tiny_data)


@pytest.fixture(scope="module")
def fitted(tiny: Mnist) -> Fit:
    return fit(THREE_EPOCHS, tiny.train, tiny.validation)


def same_weights(one: Fit, other: Fit) -> bool:
    pairs = zip(one.classifier.get_weights(), other.classifier.get_weights(), strict=True)
    return all(np.array_equal(*pair) for pair in pairs)


@pytest.mark.parametrize("recipe", [replace(RECIPES[name], epochs=3) for name in FITTED], ids=FITTED)
def test_the_same_seed_gives_the_same_weights_bit_for_bit(tiny: Mnist, recipe: Recipe):
    first, second = (fit(recipe, tiny.train, tiny.validation) for _ in range(2))
    assert same_weights(first, second)
    assert first.history == second.history


def test_another_seed_gives_other_weights(tiny: Mnist, fitted: Fit):
    assert not same_weights(fitted, fit(replace(THREE_EPOCHS, seed=1), tiny.train, tiny.validation))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_the_baseline_reaches_its_test_accuracy(mnist: Mnist, seed: int):
    fitted = fit(replace(RECIPES["baseline"], seed=seed), mnist.train, mnist.validation)
    accuracy = evaluate(fitted.classifier, mnist.test).accuracy
    print(f"seed {seed}: {accuracy:.2%} after {fitted.seconds:.1f} s")
    assert accuracy >= 0.926


def test_batch_normalisation_is_folded_into_what_is_fitted(tiny: Mnist):
    fitted = fit(replace(RECIPES["conv"], epochs=1), tiny.train, tiny.validation)
    layers = [type(layer) for layer in fitted.classifier.layers]
    assert keras.layers.Conv2D in layers
    assert keras.layers.BatchNormalization not in layers
    measured = evaluate(fitted.classifier, tiny.validation)
    assert fitted.history.validation_loss[-1] == pytest.approx(measured.loss, rel=1e-4)


def test_the_classifier_answers_probabilities(tiny: Mnist, fitted: Fit):
    probabilities = np.asarray(fitted.classifier(tiny.test.images.astype(np.float32)))
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_it_learns_from_the_labels(tiny: Mnist, fitted: Fit):
    assert evaluate(fitted.classifier, tiny.validation).accuracy > 0.6
    assert fitted.history.train_loss[-1] < fitted.history.train_loss[0]


def test_the_history_has_one_entry_for_each_epoch(fitted: Fit):
    assert {name: len(values) for name, values in vars(fitted.history).items()} == {
        "train_loss": 3,
        "train_accuracy": 3,
        "validation_loss": 3,
        "validation_accuracy": 3,
    }
    assert all(0 <= each <= 1 for each in fitted.history.train_accuracy + fitted.history.validation_accuracy)


def test_the_last_entry_of_the_history_is_what_the_classifier_does(tiny: Mnist, fitted: Fit):
    measured = evaluate(fitted.classifier, tiny.validation)
    assert fitted.history.validation_accuracy[-1] == pytest.approx(measured.accuracy)
    assert fitted.history.validation_loss[-1] == pytest.approx(measured.loss, rel=1e-5)


@pytest.mark.filterwarnings("error:.*does not represent logits")
def test_the_loss_of_logits_of_ten_thousand_is_exact_and_finite(tiny: Mnist):
    # Steps so large that the logits are thousands apart: a loss from probabilities would be infinite, or clipped to 16.
    wild = Recipe("wild", "sgd", learning_rate=1e4, schedule="constant", batch_size=100, epochs=2)
    fitted = fit(wild, tiny.train, tiny.validation)
    losses = fitted.history.train_loss + fitted.history.validation_loss
    assert all(math.isfinite(loss) for loss in losses)
    assert max(losses) > 1000
    assert all(np.isfinite(each).all() for each in fitted.classifier.get_weights())
    assert math.isfinite(evaluate(fitted.classifier, tiny.validation).loss)


class LearningRates(keras.callbacks.Callback):
    """The learning rate after each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        assert self.model is not None
        self.rates.append(float(self.model.optimizer.learning_rate))


@pytest.mark.parametrize(("schedule", "shares"), [("cosine", [0.75, 0.25, 0]), ("constant", [1, 1, 1])])
def test_the_schedule_spans_the_whole_run(tiny: Mnist, schedule: str, shares: list[float]):
    seen = LearningRates()
    # 1,100 images in batches of 512: the third, smaller batch of an epoch is a step too.
    fit(replace(THREE_EPOCHS, schedule=schedule), tiny.train, tiny.validation, [seen])
    assert seen.rates == pytest.approx([share * THREE_EPOCHS.learning_rate for share in shares], abs=1e-8)
