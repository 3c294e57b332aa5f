"""What a novelty score means: how unusual an image is, and whether its answer is accepted."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.card import Thresholds


def novelty_share(scores: NDArray[np.float32], knots: ArrayLike) -> NDArray[np.float32]:
    """Return the share of validation digits that look more usual than images with `scores` (N,): float32 (N,), 0 to 1.

    It is interpolated between `knots` (K, 2): pairs of a score and its share, both ascending.
    """
    return np.interp(scores, *np.asarray(knots).T).astype(np.float32)


def accepted(confidence: NDArray[Any], novelty: NDArray[Any], thresholds: Thresholds) -> NDArray[np.bool_]:
    """Say for N answers, of `confidence` (N,) and a share of `novelty` (N,), whether the model stands by them, bool (N,)."""
    return (confidence >= thresholds.min_confidence) & (novelty <= thresholds.max_novelty)
