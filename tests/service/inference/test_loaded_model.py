"""What a loaded version answers, and how much of it is computed at once."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.card import Thresholds
from models.digits import MODEL_NAME
from models.engine import Engine
from models.exported import Outputs
from service.inference.loaded_model import LoadedModel, images_within_limits
from service.inference.model_loading import load_model
from service.inference.model_repository import ModelRepository

THRESHOLDS = Thresholds(min_confidence=0.8, max_novelty=0.95)
KNOTS = np.array([0.0, 10.0, 20.0]), np.array([0.0, 0.9, 1.0])


def answering(confidence: float, score: float) -> Engine:
    """Return an engine that answers 4 with this confidence, and this novelty score."""

    def run(images: np.ndarray, with_novelty: bool) -> Outputs:
        probabilities = np.full((len(images), 10), (1 - confidence) / 9, np.float32)
        probabilities[:, 4] = confidence
        return Outputs(probabilities, np.full(len(images), score, np.float32) if with_novelty else None)

    return Engine("litert", "cpu", run, 256)


@pytest.fixture
def model(published_store: Path) -> LoadedModel:
    loaded = load_model(f"{MODEL_NAME}:latest", "cpu")
    return replace(loaded, knots=KNOTS, card=loaded.card.model_copy(update={"thresholds": THRESHOLDS}))


@pytest.mark.parametrize(
    ("confidence", "score", "novelty", "is_accepted"),
    [(0.9, 5, 0.45, True), (0.7, 5, 0.45, False), (0.9, 18, 0.98, False), (0.9, 30, 1.0, False), (0.9, -1, 0.0, True)],
)
def test_an_answer_is_accepted_where_it_is_sure_enough_and_the_image_usual_enough(
    model: LoadedModel, confidence: float, score: float, novelty: float, is_accepted: bool
) -> None:
    answers = replace(model, engine=answering(confidence, score)).answer(np.zeros((2, 784), np.float32), True)
    assert answers.digits.tolist() == [4, 4]
    assert answers.confidence.tolist() == pytest.approx([confidence] * 2)
    assert answers.novelty is not None
    assert answers.novelty.tolist() == pytest.approx([novelty] * 2)
    assert answers.novelty.dtype == np.float32
    assert answers.accepted is not None
    assert answers.accepted.tolist() == [is_accepted] * 2


def test_without_novelty_asked_for_or_known_nothing_is_said_of_it(model: LoadedModel) -> None:
    images = np.zeros((1, 784), np.float32)
    without = replace(model, card=model.card.model_copy(update={"thresholds": None}))
    for each, with_novelty in ((model, False), (replace(model, knots=None), True), (without, True)):
        answers = each.answer(images, with_novelty)
        assert (answers.novelty, answers.accepted) == (None, None)
    assert model.answer(images, True).novelty is not None


def test_probabilities_are_the_same_bit_for_bit_with_novelty_and_without(model: LoadedModel) -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 784)).astype(np.float32)
    assert np.array_equal(model.answer(images, True).probabilities, model.answer(images, False).probabilities)


@pytest.mark.parametrize(("milliseconds_each", "inline", "at_once"), [(0.2, (1, 2), (5, 20)), (5, (1, 1), (1, 1))])
def test_a_slow_model_is_computed_in_small_calls(
    milliseconds_each: float, inline: tuple[int, int], at_once: tuple[int, int]
) -> None:
    def run(images: np.ndarray, with_novelty: bool) -> Outputs:
        time.sleep(len(images) * milliseconds_each / 1000)
        return Outputs(np.zeros((len(images), 10), np.float32), None)

    measured = images_within_limits(Engine("litert", "cpu", run, 256), np.zeros((4, 784), np.float32))
    assert inline[0] <= measured[0] <= inline[1]
    assert at_once[0] <= measured[1] <= at_once[1]


def test_a_quick_model_is_computed_in_large_calls_and_on_a_gpu_none_on_the_event_loop() -> None:
    images = np.zeros((64, 784), np.float32)
    assert images_within_limits(replace(answering(1, 1), max_inline_images=3), images)[0] == 3
    assert images_within_limits(replace(answering(1, 1), max_inline_images=0), images)[0] == 0
    assert images_within_limits(answering(1, 1), images)[1] > 1000


def test_the_operators_thresholds_take_the_place_of_the_cards_and_what_they_accept_is_unknown(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = f"{MODEL_NAME}:latest"
    monkeypatch.setattr("service.inference.model_repository.load_model", lambda *_: model)
    assert ModelRepository(tag, "cpu").load() is model
    changed = ModelRepository(tag, "cpu", 0.5).load().card
    assert changed.thresholds == Thresholds(min_confidence=0.5, max_novelty=0.95)
    assert (model.card.acceptance is None, changed.acceptance) == (False, None)
    both = ModelRepository(tag, "cpu", 0.0, 1.0).load().card
    assert both.thresholds == Thresholds(min_confidence=0.0, max_novelty=1.0)
