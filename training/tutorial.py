"""The tutorial's first run: one fixed batch, plain gradient descent, and a line for every step."""

import time
from collections.abc import Callable

import numpy as np

from models.architectures import with_softmax
from models.card import Evaluation
from models.digits import NUM_CLASSES, NUM_PIXELS
from training.data import Split
from training.fit import Fit, History, compiled
from training.recipes import Recipe


def fit_one_batch(recipe: Recipe, train: Split, report: Callable[[str], None] = lambda _: None) -> Fit:
    """Fit `recipe` on the next batch of `train` alone, `recipe.epochs` steps from weights and biases of N(0, 1).

    `report` gets a line for each step: step N has the loss (mean softmax cross-entropy on the logits, in nats) and the
    accuracy on that batch after N updates, so that step 0 is untrained. Same seed: same start and batch.
    """
    images, one_hot = train.next_batch(recipe.batch_size)
    model = compiled(recipe, recipe.epochs)
    model.set_weights(drawn_weights(recipe.seed))
    losses, accuracies = [], []
    started = time.perf_counter()
    for step in range(recipe.epochs + 1):
        # Training answers with the loss before its update; the last step only measures.
        learn_or_measure = model.train_on_batch if step < recipe.epochs else model.test_on_batch
        model.reset_metrics()  # else Keras answers with the mean over all steps
        measured = learn_or_measure(images, one_hot, return_dict=True)
        losses.append(float(measured["loss"]))
        accuracies.append(float(measured["accuracy"]))
        report(f"step {step} loss {losses[-1]:.6f} accuracy {accuracies[-1]:.4f}")
    seconds = time.perf_counter() - started
    return Fit(with_softmax(model), History(tuple(losses), tuple(accuracies), (), ()), seconds)


def drawn_weights(seed: int) -> list[np.ndarray]:
    """Return weights (784, 10) and biases (10,) drawn from N(0, 1), float32."""
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape, np.float32) for shape in ((NUM_PIXELS, NUM_CLASSES), (NUM_CLASSES,))]


def verdict(history: History, recipe: Recipe, test: Evaluation) -> str:
    """Say how accurate the run is on its own batch and on the test digits, and what the two say of it."""
    own, accuracy = f"the {recipe.batch_size} images of the batch", history.train_accuracy[-1]
    if test.accuracy < accuracy:
        why = f"The two differ because every step follows {own} alone; other digits gain only as far as they resemble them."
    else:
        why = "The test digits are read no worse than the batch, so nothing shows that it was learned by heart."
    return f"Accuracy is {accuracy:.2%} on {own}, and {test.accuracy:.2%} on the {test.images:,} test digits. {why}"
