"""What the card of a publication says: where the model comes from, and how good it is."""

import shutil
import subprocess
from dataclasses import asdict, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version as version_of
from pathlib import Path

import pytest

from models.card import PARITY_TOLERANCE, SCHEMA_VERSION, Architecture, Capability
from training import publish as publishing
from training.assessment import Candidate
from training.recipes import RECIPES

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


@pytest.mark.parametrize(("architecture", "capability"), [("deskew", ("deskewed_evidence",)), ("conv", ())])
def test_the_card_says_what_the_architecture_can_explain(
    candidate: Candidate, tmp_path: Path, architecture: Architecture, capability: tuple[Capability, ...]
) -> None:
    card = publishing._card(replace(candidate, recipe=RECIPES[architecture]), tmp_path, {}, None)
    assert (card.architecture, card.capabilities) == (architecture, (*capability, "novelty"))


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
        "behaviour": candidate.behaviour,
        "data_sha256": candidate.data.sha256,
        "bundled_data": True,
        "git_commit": "0" * 40,
        "libraries": {name: version_of(name) for name in ("ai-edge-litert", "bentoml", "keras", "numpy", "tensorflow")},
        "parity_tolerance": PARITY_TOLERANCE,
        "parity": {"litert": 1e-7},
        "forced": "it is worse",
        "sha256": {"weights.npz": sha256(b"weights").hexdigest()},
    }
