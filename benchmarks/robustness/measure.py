"""From answers to figures: accuracy, coverage, and how well a score tells a set of images from clean digits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""Shape (N,): the higher, the less is the answer trusted."""


class Answers(NamedTuple):
    """What a model answers to N images: digits (N,), and which are accepted, or None where it has no thresholds.

    `scores` are what an answer may be mistrusted for, by name.
    """

    digits: NDArray[np.int64]
    accepted: NDArray[np.bool_] | None
    scores: dict[str, Scores]


@dataclass(frozen=True)
class Figures:
    """Of one set of images, or the mean of several; None where it does not apply.

    `auroc`, by the name of the score, is the probability that it is higher for one of these images than for a clean digit.
    """

    images: int
    accuracy: float | None
    coverage: float | None
    accepted_accuracy: float | None
    auroc: dict[str, float]


def figures(answers: Answers, labels: NDArray[np.uint8] | None, clean: Answers) -> Figures:
    """Measure the answers to one set of images; `clean` are those to clean digits."""
    right = None if labels is None else answers.digits == labels
    accepted = answers.accepted
    return Figures(
        images=len(answers.digits),
        accuracy=None if right is None else float(right.mean()),
        coverage=None if accepted is None else float(accepted.mean()),
        accepted_accuracy=None if right is None or accepted is None or not accepted.any() else float(right[accepted].mean()),
        auroc={name: auroc(clean.scores[name], scores) for name, scores in answers.scores.items()},
    )


def auroc(usual: Scores, unusual: Scores) -> float:
    """Return the area under the ROC curve: the probability that one of `unusual` is above one of `usual`; equal counts half."""
    ordered = np.sort(usual)
    below = np.searchsorted(ordered, unusual, "left") + np.searchsorted(ordered, unusual, "right")
    return float(below.mean() / (2 * len(ordered)))


def mean(of: Sequence[Figures]) -> Figures:
    """Return the means over sets, of which each counts the same; of what was accepted in all of them, how much is right."""
    coverages = [each.coverage for each in of]
    weighted = [(each.coverage, each.accepted_accuracy) for each in of if each.coverage and each.accepted_accuracy is not None]
    accepted = sum(coverage for coverage, _ in weighted)
    return Figures(
        images=sum(each.images for each in of),
        accuracy=_mean(each.accuracy for each in of),
        coverage=_mean(coverages),
        accepted_accuracy=sum(coverage * accuracy for coverage, accuracy in weighted) / accepted if accepted else None,
        auroc={name: float(np.mean([each.auroc[name] for each in of])) for name in of[0].auroc},
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
