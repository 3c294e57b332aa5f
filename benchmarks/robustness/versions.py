"""Published versions as functions: images in, answers out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.robustness.measure import Answers
from models.card import ModelCard, Thresholds
from models.exported import answer_in_parts, load_litert
from models.novelty import accepted, knots_of, novelty_share


def answering(folder: Path) -> Callable[[NDArray[np.uint8]], Answers]:
    """Return what the version in `folder` answers to uint8 images of shape (N, 784), as the service computes it."""
    graph, card = load_litert(folder), ModelCard.read(folder)

    def answer(images: NDArray[np.uint8]) -> Answers:
        probabilities, novelty = answer_in_parts(graph, images.astype(np.float32), True)
        digits, doubt = probabilities.argmax(axis=1), 1 - probabilities.max(axis=1).astype(np.float64)
        if novelty is None or card.novelty is None or card.thresholds is None:
            return Answers(digits, None, {"confidence": doubt})
        share = novelty_share(novelty, knots_of(card.novelty))
        scores = {"confidence": doubt, "novelty": novelty, "acceptance": _beyond(doubt, share, card.thresholds)}
        return Answers(digits, accepted(1 - doubt, share, card.thresholds), scores)

    return answer


def _beyond(doubt: NDArray[np.float64], share: NDArray[np.floating], thresholds: Thresholds) -> NDArray[np.float64]:
    """Return how far an answer is beyond the threshold that it is the furthest beyond: up to 1, it is accepted."""
    with np.errstate(divide="ignore"):
        return np.maximum(doubt / (1 - thresholds.min_confidence), (1 - thresholds.max_novelty) / (1 - share))
