"""What is chosen on validation, and what that is worth on test."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.card import CARD_FILE, ModelCard
from models.novelty import knots_of, novelty_share
from training.assessment import Candidate
from training.evaluate import evaluate
from training.novelty import scores_of


@pytest.fixture(scope="module")
def card(published_home: Path) -> ModelCard:
    versions = published_home / "models" / "digit-classifier"
    return ModelCard.read(versions / (versions / "latest").read_text())


def test_the_classifier_that_is_measured_is_the_calibrated_one(candidate: Candidate):
    for split, measured in ((candidate.data.validation, candidate.validation), (candidate.data.test, candidate.test)):
        assert evaluate(candidate.fit.classifier, split) == measured


def test_calibration_lowers_the_loss_on_validation_and_changes_no_digit(candidate: Candidate):
    assert candidate.validation.loss <= candidate.calibration.validation_before.loss
    assert candidate.test.confusion == candidate.test_before.confusion
    assert candidate.test_before.loss == candidate.calibration.test_before.loss


def test_a_share_says_how_many_validation_digits_look_more_usual(candidate: Candidate):
    scores = np.sort(scores_of(candidate.novelty_model, candidate.data.validation.images))
    assert novelty_share(scores[[4995]], knots_of(candidate.novelty))[0] == pytest.approx(0.999, abs=0.0005)


def test_the_baseline_is_calibrated(card: ModelCard):
    assert card.test.calibration_error <= 0.010
    assert card.calibration is not None
    assert card.calibration.test_before.calibration_error > 0.015


def test_what_the_baseline_accepts_is_99_percent_right_at_a_coverage_of_60(card: ModelCard):
    assert card.acceptance is not None
    validation, test = card.acceptance.validation, card.acceptance.test
    assert validation.accuracy >= 0.995
    assert test.coverage >= 0.60
    assert test.accuracy >= 0.99
    low, high = test.accuracy_interval
    assert low < test.accuracy < high


def test_the_card_has_the_knots_and_the_table(card: ModelCard, published_home: Path):
    assert card.novelty is not None
    assert 32 < len(card.novelty.knots) <= 64
    assert 20 <= len(card.coverage) <= 23
    written = json.loads((published_home / "models" / "digit-classifier" / card.version / CARD_FILE).read_text())
    assert written["coverage"][0]["coverage"] == 1
