"""What computes in a version, for each architecture, and that it is proved to compute what Keras does."""

import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from models.architectures import build, with_softmax
from models.card import NOVELTY_TOLERANCE, PARITY_TOLERANCE, Architecture, ModelCard
from models.exported import Graph, Outputs, load_litert
from tests.support.store import published_version
from training import export as exporting
from training.assessment import Candidate
from training.export import ParityError, expected_of, export, proved_parity

FILES = {"model.keras", "saved_model", "model.tflite", "model_with_novelty.tflite", "golden.npz"}


@pytest.mark.parametrize(
    ("architecture", "more"), [("softmax", {"weights.npz"}), ("deskew", {"weights.npz", "deskew.tflite"}), ("conv", set())]
)
def test_each_architecture_has_its_files_and_both_outputs_in_parity(
    candidate: Candidate, tmp_path: Path, architecture: Architecture, more: set[str]
) -> None:
    keras.utils.set_random_seed(0)
    fitted = replace(candidate.fit, classifier=with_softmax(build(architecture)))
    made = replace(candidate, recipe=replace(candidate.recipe, architecture=architecture), fit=fitted)
    expected = expected_of(made)
    export(made, expected, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES | more
    parity = proved_parity(expected, made.data.test.images, tmp_path)
    assert parity.keys() == {"litert", "litert_novelty", "saved_model", "saved_model_novelty"}


@pytest.fixture
def expected(candidate: Candidate) -> Outputs:
    return expected_of(candidate)


def test_parity_is_the_largest_difference_of_each_export(candidate: Candidate, published_home: Path, expected: Outputs) -> None:
    folder = published_version(published_home)
    assert proved_parity(expected, candidate.data.test.images, folder) == pytest.approx(ModelCard.read(folder).parity, abs=2e-7)
    assert expected.novelty is not None
    expected.probabilities[7, 3] -= PARITY_TOLERANCE / 2
    expected.novelty[7] *= 1 - NOVELTY_TOLERANCE / 2
    parity = proved_parity(expected, candidate.data.test.images, folder)
    assert min(parity["litert"], parity["saved_model"]) > PARITY_TOLERANCE / 3
    assert min(parity["litert_novelty"], parity["saved_model_novelty"]) > NOVELTY_TOLERANCE / 3


DIFFERENT = {
    "probability": (PARITY_TOLERANCE, r"the {} export differs from Keras by up to ([45]\.\de-06|nan)", "3e-06"),
    "score": (NOVELTY_TOLERANCE, r"the novelty of the {} export differs from Keras by up to (1\.\de-05|nan)", "1e-05"),
}


@pytest.mark.parametrize("times", [1.5, -1.5, np.nan])
@pytest.mark.parametrize("export", ["litert", "saved_model"])
@pytest.mark.parametrize("output", DIFFERENT)
def test_one_number_that_differs_by_more_than_the_tolerance_is_refused(
    candidate: Candidate,
    published_home: Path,
    expected: Outputs,
    monkeypatch: pytest.MonkeyPatch,
    export: str,
    output: str,
    times: float,
) -> None:
    load, (tolerance, sentence, allowed) = getattr(exporting, f"load_{export}"), DIFFERENT[output]

    def load_shifted(folder: Path) -> Graph:
        run = load(folder)

        def run_shifted(images: np.ndarray, with_novelty: bool) -> Outputs:
            probabilities, novelty = (np.array(each) for each in run(images, with_novelty))
            if output == "probability":
                probabilities[-1, -1] += times * tolerance
            elif with_novelty:
                novelty[-1] *= 1 + times * tolerance
            return Outputs(probabilities, novelty)

        return run_shifted

    monkeypatch.setattr(exporting, f"load_{export}", load_shifted)
    with pytest.raises(ParityError) as refused:
        proved_parity(expected, candidate.data.test.images, published_version(published_home))
    assert re.fullmatch(rf"{sentence.format(export)} on the test digits; at most {allowed} is allowed", str(refused.value))


def test_two_litert_files_that_disagree_by_a_bit_are_refused(
    candidate: Candidate, published_home: Path, expected: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_unequal(folder: Path) -> Graph:
        run, shift = load_litert(folder), np.float32(1e-9)
        return lambda images, with_novelty: Outputs(
            run(images, True).probabilities + shift * with_novelty, run(images, True).novelty
        )

    monkeypatch.setattr(exporting, "load_litert", load_unequal)
    with pytest.raises(ParityError, match="the two LiteRT files give different probabilities"):
        proved_parity(expected, candidate.data.test.images, published_version(published_home))
