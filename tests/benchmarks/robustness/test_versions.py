"""Which version of a recipe is measured, and what its answers are those that were proved when it was published."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.robustness.versions import answering, newest_of
from models.card import CARD_FILE
from training.data import Mnist


@pytest.fixture
def version(published_store: Path) -> Path:
    return published_store / (published_store / "latest").read_text()


def test_the_newest_version_of_the_recipe_is_measured(version: Path) -> None:
    content = json.loads((version / CARD_FILE).read_text())
    for name, changes in {"older": {"created": "2020-01-01T00:00:00Z"}, "other": {"recipe": {"name": "sgd"}}}.items():
        (version.parent / name).mkdir()
        (version.parent / name / CARD_FILE).write_text(json.dumps(content | {"version": name} | changes))
    home = version.parents[2]
    assert newest_of("baseline", home) == version
    assert newest_of("sgd", home).name == "other"
    with pytest.raises(RuntimeError, match="has no version of conv; publish one with `python -m training --recipe conv`"):
        newest_of("conv", home)


def test_a_version_answers_as_its_golden_digits_say(version: Path) -> None:
    golden = np.load(version / "golden.npz")
    answers = answering(version)(golden["images"])
    assert np.array_equal(answers.digits, golden["probabilities"].argmax(axis=1))
    assert answers.scores["confidence"] == pytest.approx(1 - golden["probabilities"].max(axis=1), abs=3e-6)


def test_batches_make_no_difference(version: Path, mnist: Mnist) -> None:
    answer = answering(version)
    together = answer(mnist.test.images[:2500])
    alone = answer(mnist.test.images[2400:2500])
    for name, scores in together.scores.items():
        assert np.array_equal(scores[2400:], alone.scores[name])
