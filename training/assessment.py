"""What is known of a fitted model before anyone decides whether to publish it."""

from dataclasses import dataclass

import keras

from models.card import Evaluation, Novelty
from training.data import Mnist
from training.evaluate import evaluate
from training.fit import Fit
from training.novelty import fit_knots, novelty_model, scores_of
from training.recipes import Recipe


@dataclass(frozen=True)
class Candidate:
    """A fitted model with all that its publication needs; `novelty_model` scores pixels, and `novelty` reads the scores."""

    recipe: Recipe
    fit: Fit
    data: Mnist
    validation: Evaluation
    test: Evaluation
    novelty_model: keras.Model
    novelty: Novelty


def assess(recipe: Recipe, fitted: Fit, data: Mnist) -> Candidate:
    """Fit what is chosen on validation, and measure the model on validation and test."""
    validation, test = (evaluate(fitted.classifier, split) for split in (data.validation, data.test))
    scoring = novelty_model(data.train)
    novelty = fit_knots(scores_of(scoring, data.validation.images))
    return Candidate(recipe, fitted, data, validation, test, scoring, novelty)
