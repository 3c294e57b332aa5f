"""What a novelty score means: how unusual an image is, and whether its answer is accepted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.card import Thresholds


def novelty_share(scores: NDArray[np.float32], knots: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Return the share of validation digits that look more usual than images with `scores` (N,), from 0 to 1, float64 (N,).

    Between two of `knots`, (score, share) ascending in both, it is interpolated.
    """
    at, shares = zip(*knots, strict=True)
    return np.interp(scores, at, shares)


def accepted(confidence: NDArray[Any], novelty: NDArray[Any], thresholds: Thresholds) -> NDArray[np.bool_]:
    """Say for N answers, of `confidence` (N,) and a share of `novelty` (N,), whether the model stands by them, bool (N,)."""
    return (confidence >= thresholds.min_confidence) & (novelty <= thresholds.max_novelty)
