"""The tutorial's first run: one fixed batch, plain gradient descent, and every step said."""

import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from models.architectures import build_softmax_classifier
from models.card import Evaluation
from models.digits import NUM_CLASSES, NUM_PIXELS
from training.data import Split
from training.fit import Fit, History
from training.recipes import Recipe


def fit_one_batch(recipe: Recipe, train: Split, say: Callable[[str], None] = lambda _: None) -> Fit:
    """Fit `recipe` on the next batch of `train` alone, `recipe.epochs` steps from weights and biases of N(0, 1).

    `say` gets a line for each step: step N has the loss (mean softmax cross-entropy on the logits, in nats) and the
    accuracy on that batch after N updates, so that step 0 is untrained. Same seed: same start and batch.
    """
    images, one_hot = train.next_batch(recipe.batch_size)
    model = _untrained(recipe)
    losses, accuracies = [], []
    started = time.perf_counter()
    for step in range(recipe.epochs + 1):
        # Training answers with the loss before its update; the last step only looks.
        learn_or_look = model.train_on_batch if step < recipe.epochs else model.test_on_batch
        model.reset_metrics()  # else Keras answers with the mean over all steps
        measured = learn_or_look(images, one_hot, return_dict=True)
        losses.append(float(measured["loss"]))
        accuracies.append(float(measured["accuracy"]))
        say(f"step {step} loss {losses[-1]:.6f} accuracy {accuracies[-1]:.4f}")
    seconds = time.perf_counter() - started
    classifier = build_softmax_classifier()
    classifier.set_weights(model.get_weights())
    return Fit(classifier, History(tuple(losses), tuple(accuracies), (), ()), seconds)


def _untrained(recipe: Recipe) -> keras.Sequential:
    tf.config.experimental.enable_op_determinism()
    model = build_softmax_classifier("linear")
    model.set_weights(drawn_weights(recipe.seed))
    model.compile(
        optimizer=keras.optimizers.SGD(recipe.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def drawn_weights(seed: int) -> list[np.ndarray]:
    """Return weights (784, 10) and biases (10,) drawn from N(0, 1), float32."""
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape, np.float32) for shape in ((NUM_PIXELS, NUM_CLASSES), (NUM_CLASSES,))]


def verdict(history: History, recipe: Recipe, test: Evaluation) -> str:
    """Say how good the run is on digits that it has not seen, and why that is less than on its own batch."""
    batch, parameters = recipe.batch_size, NUM_PIXELS * NUM_CLASSES + NUM_CLASSES
    return (
        f"Accuracy is {history.train_accuracy[-1]:.0%} on the {batch} images of the batch, and {test.accuracy:.2%} on the "
        f"{test.images:,} test digits. The two differ because every step follows what those {batch} images show, which "
        f"{parameters:,} parameters can learn by heart; other digits gain only as far as they resemble them."
    )
