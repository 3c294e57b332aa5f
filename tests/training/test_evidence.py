"""What the card of a publication says: where the model comes from, how good it is, and how exact its exports are."""

import re
import shutil
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np
import pytest

from models.card import NOVELTY_TOLERANCE, PARITY_TOLERANCE, SCHEMA_VERSION, ModelCard
from models.exported import Graph, Outputs
from tests.support.store import published_version
from training import publish as publishing
from training.assessment import Candidate
from training.evaluate import probabilities_of
from training.novelty import scores_of
from training.publish import NotPublished

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


def git(folder: Path, *arguments: str) -> str:
    command = ("git", "-C", str(folder), *IDENTITY, *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the code that publishes lie in a folder of the test's own, in no checkout, and return its file."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    file = tmp_path / "checkout" / "training" / "publish.py"
    file.parent.mkdir(parents=True)
    file.write_text("publish = True\n")
    monkeypatch.setattr(publishing, "__file__", str(file))
    return file


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_it_is_the_whole_name_of_the_commit_even_where_there_is_a_tag_and_says_whether_it_was_changed(code: Path) -> None:
    checkout = code.parent.parent
    git(checkout, "init")
    git(checkout, "add", ".")
    git(checkout, "commit", "--message", "first")
    git(checkout, "tag", "--annotate", "v1", "--message", "a version")
    commit = git(checkout, "rev-parse", "HEAD")
    assert len(commit) == 40
    assert publishing._git_commit() == commit
    code.write_text("publish = False\n")
    assert publishing._git_commit() == f"{commit}-dirty"


def test_outside_a_checkout_it_is_none(code: Path) -> None:
    assert publishing._git_commit() is None


def test_where_git_is_missing_it_is_none(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(code.parent))
    assert publishing._git_commit() is None


def test_the_card_has_the_figures_of_the_candidate_and_the_versions_of_what_made_it(
    candidate: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights.npz").write_text("weights")
    monkeypatch.setattr(publishing, "_git_commit", lambda: "0" * 40)
    begun = datetime.now(UTC)
    card = publishing._card(candidate, tmp_path, {"litert": 1e-7}, "it is worse")
    assert begun <= card.created <= datetime.now(UTC)
    assert card.model_dump(exclude={"created"}) == {
        "schema_version": SCHEMA_VERSION,
        "architecture": "softmax",
        "capabilities": ("linear_evidence", "novelty"),
        "name": "digit-classifier",
        "version": tmp_path.name,
        "recipe": asdict(candidate.recipe),
        "num_parameters": 7850,
        "fit_seconds": candidate.fit.seconds,
        "validation": candidate.validation.model_dump(),
        "test": candidate.test.model_dump(),
        "calibration": candidate.calibration.model_dump(),
        "novelty": candidate.novelty.model_dump(),
        "thresholds": candidate.thresholds.model_dump(),
        "acceptance": candidate.acceptance.model_dump(),
        "coverage": tuple(row.model_dump() for row in candidate.coverage),
        "behaviour": {},
        "data_sha256": candidate.data.sha256,
        "bundled_data": True,
        "git_commit": "0" * 40,
        "libraries": {name: version_of(name) for name in ("ai-edge-litert", "bentoml", "keras", "numpy", "tensorflow")},
        "parity_tolerance": PARITY_TOLERANCE,
        "parity": {"litert": 1e-7},
        "forced": "it is worse",
        "sha256": {"weights.npz": sha256(b"weights").hexdigest()},
    }


@pytest.fixture
def expected(candidate: Candidate) -> Outputs:
    images = candidate.data.test.images
    return Outputs(probabilities_of(candidate.fit.classifier, images), scores_of(candidate.novelty_model, images))


def test_parity_is_the_largest_difference_of_each_export(candidate: Candidate, published_home: Path, expected: Outputs) -> None:
    folder = published_version(published_home)
    assert publishing._proved_parity(candidate, expected, folder) == pytest.approx(ModelCard.read(folder).parity, abs=2e-7)
    assert expected.novelty is not None
    expected.probabilities[7, 3] -= PARITY_TOLERANCE / 2
    expected.novelty[7] *= 1 - NOVELTY_TOLERANCE / 2
    parity = publishing._proved_parity(candidate, expected, folder)
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
    load, (tolerance, sentence, allowed) = getattr(publishing, f"load_{export}"), DIFFERENT[output]

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

    monkeypatch.setattr(publishing, f"load_{export}", load_shifted)
    with pytest.raises(NotPublished) as refused:
        publishing._proved_parity(candidate, expected, published_version(published_home))
    assert re.fullmatch(rf"{sentence.format(export)} on the test digits; at most {allowed} is allowed", str(refused.value))
    assert (refused.value.is_failure, refused.value.can_be_forced) == (True, False)
