"""What a novelty score means: how unusual an image is, and whether its answer is accepted."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.card import Novelty, Thresholds

Knots = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Scores (K,) and their shares (K,), both ascending."""


def knots_of(novelty: Novelty) -> Knots:
    """Return the knots of a card as arrays."""
    scores, shares = np.array(novelty.knots).T.copy()
    return scores, shares


def novelty_share(scores: NDArray[np.float32], knots: Knots) -> NDArray[np.float32]:
    """Return the share of validation digits that look more usual than images with `scores` (N,): float32 (N,), 0 to 1."""
    return np.interp(scores, *knots).astype(np.float32)


def accepted(confidence: NDArray[Any], novelty: NDArray[Any], thresholds: Thresholds) -> NDArray[np.bool_]:
    """Say for N answers, of `confidence` (N,) and a share of `novelty` (N,), whether the model stands by them, bool (N,)."""
    return (confidence >= thresholds.min_confidence) & (novelty <= thresholds.max_novelty)
