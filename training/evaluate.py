"""How good a classifier is on a split: accuracy, loss, calibration, confusion."""

import math

import keras
import numpy as np
from numpy.typing import NDArray

from models.card import Evaluation, ReliabilityBin
from models.digits import NUM_CLASSES
from models.exported import IMAGES_A_CALL
from training.data import Split

_RELIABILITY_BINS = 15
_Z_95 = 1.959964


def probabilities_of(classifier: keras.Sequential, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what Keras computes for uint8 `images` of shape (N, 784): probabilities, float32 (N, 10)."""
    return classifier.predict(images, batch_size=IMAGES_A_CALL, verbose=0)  # pyright: ignore[reportArgumentType]: its default is "auto"


def evaluate(classifier: keras.Sequential, split: Split) -> Evaluation:
    """Measure `classifier` on `split`."""
    return evaluate_probabilities(probabilities_of(classifier, split.images), split.labels)


def evaluate_probabilities(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> Evaluation:
    """Measure probabilities of shape (N, 10) against labels of shape (N,)."""
    exact = probabilities.astype(np.float64)
    correct = exact.argmax(axis=1) == labels
    reliability = _reliability(exact.max(axis=1), correct)
    return Evaluation(
        images=len(labels),
        accuracy=float(correct.mean()),
        accuracy_interval=wilson_interval(int(correct.sum()), len(labels)),
        loss=_cross_entropy(exact, labels),
        calibration_error=_expected_calibration_error(reliability),
        brier_score=float(np.mean(np.sum((exact - np.eye(NUM_CLASSES)[labels]) ** 2, axis=1))),
        confusion=_confusion(exact.argmax(axis=1), labels),
        reliability=reliability,
    )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share (Wilson 1927, JASA 22:209-212)."""
    share, spread = successes / trials, _Z_95**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    margin = _Z_95 / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, centre - margin), min(1.0, centre + margin)


def _cross_entropy(probabilities: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
    of_label = probabilities[np.arange(len(labels)), labels]
    # A float32 softmax may round to 0 what was 1e-46; the smallest float32 keeps the mean finite.
    return float(-np.log(np.maximum(of_label, np.finfo(np.float32).tiny)).mean())


def _confusion(digits: NDArray[np.int64], labels: NDArray[np.uint8]) -> tuple[tuple[int, ...], ...]:
    counts = np.bincount(labels.astype(np.int64) * NUM_CLASSES + digits, minlength=NUM_CLASSES**2)
    return tuple(tuple(row) for row in counts.reshape(NUM_CLASSES, NUM_CLASSES).tolist())


def _reliability(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    bins = np.minimum((confidence * _RELIABILITY_BINS).astype(int), _RELIABILITY_BINS - 1)
    images = np.bincount(bins, minlength=_RELIABILITY_BINS)
    means = (np.bincount(bins, each, _RELIABILITY_BINS) / np.maximum(images, 1) for each in (confidence, correct))
    columns = zip(images.tolist(), *(mean.tolist() for mean in means), strict=True)
    return tuple(ReliabilityBin(images=count, mean_confidence=mean, accuracy=share) for count, mean, share in columns)


def _expected_calibration_error(reliability: tuple[ReliabilityBin, ...]) -> float:
    """Return the mean gap between confidence and accuracy, weighted by images (Guo et al. 2017, arXiv:1706.04599)."""
    gaps = sum(each.images * abs(each.mean_confidence - each.accuracy) for each in reliability)
    return gaps / sum(each.images for each in reliability)
