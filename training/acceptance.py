"""Which answers the model stands by: thresholds chosen on validation, and what they and others accept."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.card import Accepted, CoverageRow, Thresholds
from models.novelty import accepted
from training.evaluate import wilson_interval

# Of the validation digits, the share that novelty alone may keep from being accepted.
_REFUSED_FOR_NOVELTY = 0.01
_COVERAGES = np.arange(1, 21) / 20
# The table also has the most that can be covered at these accuracies.
_ACCURACIES = (0.99, 0.995, 0.999)


@dataclass(frozen=True)
class Answers:
    """The answers to one split: `confidence`, whether they are `correct`, and the share of `novelty`, each (N,)."""

    confidence: NDArray[np.float32]
    correct: NDArray[np.bool_]
    novelty: NDArray[np.floating]


@dataclass(frozen=True)
class Curve:
    """What is covered, and how much of that is right, at each confidence that may be asked for; all three (M,), M <= N.

    The risk-coverage curve of El-Yaniv and Wiener 2010 (JMLR 11:1605), with accuracy for risk; coverage ascends.
    """

    min_confidence: NDArray[np.float32]
    coverage: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def curve(answers: Answers) -> Curve:
    """Return the curve of `answers`."""
    order = np.argsort(-answers.confidence, kind="stable")
    confidence, number = answers.confidence[order], np.arange(1, len(order) + 1)
    is_last = np.append(confidence[1:] < confidence[:-1], True)  # equal confidences are accepted together
    accuracy = np.cumsum(answers.correct[order]) / number
    return Curve(confidence[is_last], number[is_last] / len(order), accuracy[is_last])


def choose_thresholds(validation: Answers, accuracy: float) -> Thresholds:
    """Return the lowest confidence from which on `accuracy` of the answers is right, and the novelty that refuses 1 % more.

    Where no confidence is enough, only what has all of it is accepted.
    """
    enough = (each := curve(validation)).min_confidence[each.accuracy >= accuracy]
    min_confidence = float(enough[-1]) if len(enough) else 1.0
    usual_last = np.sort(validation.novelty[validation.confidence >= min_confidence])
    refused = round(_REFUSED_FOR_NOVELTY * len(validation.novelty))
    max_novelty = float(usual_last[-1 - refused]) if len(usual_last) > refused else 1.0
    return Thresholds(min_confidence=min_confidence, max_novelty=max_novelty)


def what_is_accepted(answers: Answers, thresholds: Thresholds) -> Accepted:
    """Measure what `thresholds` accept of `answers`; of nothing, no share is right, and any may be."""
    chosen = accepted(answers.confidence, answers.novelty, thresholds)
    number, right = int(chosen.sum()), int(answers.correct[chosen].sum())
    interval = wilson_interval(right, number) if number else (0.0, 1.0)
    return Accepted(coverage=number / len(chosen), accuracy=right / max(number, 1), accuracy_interval=interval)


def coverage_table(test: Answers) -> tuple[CoverageRow, ...]:
    """Return some twenty rows of the curve of `test`, from the most covered to the least."""
    whole = curve(test)
    places = set(np.searchsorted(whole.coverage, _COVERAGES - 1e-9))
    places |= {enough[-1] for each in _ACCURACIES if len(enough := np.flatnonzero(whole.accuracy >= each))}
    columns = (
        column[sorted(places, reverse=True)].tolist() for column in (whole.coverage, whole.accuracy, whole.min_confidence)
    )
    rows = zip(*columns, strict=True)
    return tuple(CoverageRow(coverage=covered, accuracy=right, min_confidence=least) for covered, right, least in rows)
