"""Why an image was given its digit: what each of its pixels added to the logit of that digit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.digits import MAX_PIXEL


@dataclass(frozen=True, slots=True)
class LinearWeights:
    """What the logits of a linear model are made of: scaled pixels · `weights` (784, 10) + `biases` (10,), float32."""

    weights: NDArray[np.float32]
    biases: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Explanation:
    """For N answers: `digits` and their `logits` and `biases`, each (N,), and `pixels` (N, 784), all float32."""

    digits: NDArray[np.intp]
    logits: NDArray[np.float32]
    biases: NDArray[np.float32]
    pixels: NDArray[np.float32]


def explain(images: NDArray[np.float32], digits: NDArray[np.intp], linear: LinearWeights) -> Explanation:
    """Return what each pixel of `images` (N, 784) adds to the logit of its digit."""
    biases = linear.biases
    pixels = images / np.float32(MAX_PIXEL) * linear.weights.T[digits]
    return Explanation(digits, pixels.sum(axis=1, dtype=np.float64).astype(np.float32) + biases[digits], biases[digits], pixels)
