"""One temperature for all logits, so that confidence is the share of right answers (Guo et al. 2017, arXiv:1706.04599)."""

import keras
import numpy as np
from numpy.typing import NDArray

# Wide enough for any model; where a split is read without a mistake, the loss alone would have the temperature go to 0.
_LOWEST, _HIGHEST = 0.05, 20.0
_HALVINGS = 40


def fit_temperature(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Return what to divide the logits of `probabilities` (N, 10) by for the least cross-entropy against `labels` (N,)."""
    # Up to one number for each image, which changes no probability, these are the logits.
    logits = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny))
    of_label = logits[np.arange(len(labels)), labels]
    low, high = np.log([1 / _HIGHEST, 1 / _LOWEST])
    for _ in range(_HALVINGS):  # the loss is convex in 1 / temperature, so its slope changes sign once
        middle = (low + high) / 2
        expected = (_softmax(np.exp(middle) * logits) * logits).sum(axis=1)
        low, high = (low, middle) if (expected - of_label).mean() > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def divide_logits(classifier: keras.Model, temperature: float) -> None:
    """Divide the weights and biases of the last layer of `classifier` that has any, and so its logits."""
    last = [layer for layer in classifier.layers if layer.get_weights()][-1]
    last.set_weights([each / temperature for each in last.get_weights()])
