"""What is known of a fitted model before anyone decides whether to publish it."""

from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
from numpy.typing import NDArray

from models.card import Acceptance, Calibration, CoverageRow, Evaluation, Novelty, Thresholds, Uncalibrated
from models.novelty import knots_of, novelty_share
from training.acceptance import Answers, choose_thresholds, coverage_table, what_is_accepted
from training.behaviour import measure
from training.calibration import divide_logits, fit_temperature
from training.data import Mnist, Split
from training.evaluate import evaluate_probabilities, probabilities_of
from training.fit import Fit
from training.novelty import fit_knots, novelty_model, scores_of
from training.recipes import Recipe

# Of the validation digits whose answers are confident enough to be accepted, the share that is right. MNIST's validation
# digits are easier than its test digits.
_ACCEPTED_ACCURACY = {"softmax": 0.995, "deskew": 0.995, "conv": 0.999}


@dataclass(frozen=True)
class Candidate:
    """A fitted model with all that its publication needs. Its classifier is calibrated; `test_before` is from before that.

    `novelty_model` scores pixels, and `novelty` makes shares of the scores.
    """

    recipe: Recipe
    fit: Fit
    data: Mnist
    validation: Evaluation
    test: Evaluation
    test_before: Evaluation
    calibration: Calibration
    novelty_model: keras.Model
    novelty: Novelty
    thresholds: Thresholds
    acceptance: Acceptance
    coverage: tuple[CoverageRow, ...]
    behaviour: dict[str, float]


def assess(recipe: Recipe, fitted: Fit, data: Mnist) -> Candidate:
    """Choose temperature, knots and thresholds on validation, and measure what comes of them on validation and test.

    The classifier of `fitted` is calibrated in place.
    """
    splits = data.validation, data.test
    uncalibrated = [probabilities_of(fitted.classifier, split.images) for split in splits]
    temperature = fit_temperature(uncalibrated[0], data.validation.labels)
    divide_logits(fitted.classifier, temperature)
    probabilities = [probabilities_of(fitted.classifier, split.images) for split in splits]
    scoring = novelty_model(data.train)
    scores = [scores_of(scoring, split.images) for split in splits]
    novelty = fit_knots(scores[0])
    validation, test = map(partial(_answers, novelty), splits, probabilities, scores)
    thresholds = choose_thresholds(validation, _ACCEPTED_ACCURACY[recipe.architecture])
    before, after = (
        list(map(evaluate_probabilities, each, (split.labels for split in splits))) for each in (uncalibrated, probabilities)
    )
    return Candidate(
        recipe=recipe,
        fit=fitted,
        data=data,
        validation=after[0],
        test=after[1],
        test_before=before[1],
        calibration=Calibration(
            temperature=temperature, validation_before=_uncalibrated(before[0]), test_before=_uncalibrated(before[1])
        ),
        novelty_model=scoring,
        novelty=novelty,
        thresholds=thresholds,
        acceptance=Acceptance(validation=what_is_accepted(validation, thresholds), test=what_is_accepted(test, thresholds)),
        coverage=coverage_table(test),
        behaviour=measure(partial(probabilities_of, fitted.classifier), data.validation),
    )


def _uncalibrated(evaluation: Evaluation) -> Uncalibrated:
    return Uncalibrated(loss=evaluation.loss, calibration_error=evaluation.calibration_error)


def _answers(novelty: Novelty, split: Split, probabilities: NDArray[np.float32], scores: NDArray[np.float32]) -> Answers:
    correct = probabilities.argmax(axis=1) == split.labels
    return Answers(probabilities.max(axis=1), correct, novelty_share(scores, knots_of(novelty)))
