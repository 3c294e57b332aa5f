"""What a version answers are the answers that were proved when it was published."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.robustness.versions import answering
from training.data import Mnist


@pytest.fixture
def version(published_store: Path) -> Path:
    return published_store / (published_store / "latest").read_text()


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
