"""From a recipe and data to a fitted classifier and its history."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from models.architectures import build, with_softmax
from models.exported import IMAGES_A_CALL
from training.augmentation import augmented
from training.data import Split
from training.recipes import Recipe

# Steps that TensorFlow runs in one call from Python: with fewer than 20, the calls cost more than the arithmetic.
_STEPS_PER_EXECUTION = 20


@dataclass(frozen=True)
class History:
    """Loss (nats) and accuracy after each epoch; those of `train` are means over the epoch.

    Without validation in between, its two are empty.
    """

    train_loss: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    validation_loss: tuple[float, ...]
    validation_accuracy: tuple[float, ...]


@dataclass(frozen=True)
class Fit:
    """A fitted classifier that answers probabilities, its history, and the seconds that the fit took."""

    classifier: keras.Sequential
    history: History
    seconds: float


def fit(recipe: Recipe, train: Split, validation: Split, callbacks: Sequence[keras.callbacks.Callback] = ()) -> Fit:
    """Fit `recipe` on `train`, evaluating on `validation` after each epoch. Same seed and machine: same weights.

    Sets the global seeds of Python, NumPy and TensorFlow, and makes TensorFlow's operations deterministic.
    """
    keras.utils.set_random_seed(recipe.seed)
    model = compiled(recipe, -(-len(train) // recipe.batch_size) * recipe.epochs, _STEPS_PER_EXECUTION)
    started = time.perf_counter()
    fitted = model.fit(
        **_batches(recipe, train),
        epochs=recipe.epochs,
        validation_data=(validation.images, validation.one_hot()),
        validation_batch_size=IMAGES_A_CALL,
        callbacks=list(callbacks),
        verbose=0,  # pyright: ignore[reportArgumentType]: its default is "auto"
    )
    seconds = time.perf_counter() - started
    by_name = ("loss", "accuracy", "val_loss", "val_accuracy")
    return Fit(with_softmax(model), History(*(tuple(fitted.history[name]) for name in by_name)), seconds)


def _batches(recipe: Recipe, train: Split) -> dict[str, Any]:
    if recipe.architecture == "conv":
        return {"x": augmented(train, recipe.batch_size, recipe.seed), "shuffle": False}  # it is shuffled already
    return {"x": train.images, "y": train.one_hot(), "batch_size": recipe.batch_size}


def compiled(recipe: Recipe, steps: int, steps_per_execution: int = 1) -> keras.Sequential:
    """Build the model that answers logits, to learn as `recipe` says within `steps`, with deterministic operations."""
    tf.config.experimental.enable_op_determinism()
    cosine = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, decay_steps=steps)
    rate = cosine if recipe.schedule == "cosine" else recipe.learning_rate
    model = build(recipe.architecture)
    model.compile(
        optimizer={"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[recipe.optimizer](rate),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
    )
    return model
