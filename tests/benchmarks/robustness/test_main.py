"""`python -m benchmarks.robustness` on a store: a table, a picture and a line of JSON, or a sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.robustness import __main__ as command
from benchmarks.robustness import image_sets
from benchmarks.robustness.image_sets import CLEAN, CORRUPTED, NO_DIGITS, OTHER, ImageSet
from tests.support.project import ROOT
from training.data import Mnist, Split


@pytest.fixture
def few_sets(mnist: Mnist, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command show a model 40 digits, the same inverted, and the same as what is no digit."""
    digits = Split(mnist.validation.images[:40], mnist.validation.labels[:40])
    sets = (
        ImageSet(CLEAN, "clean digits", digits.images, digits.labels),
        ImageSet(CORRUPTED, "dark", digits.images // 2, digits.labels),
        ImageSet(OTHER, "black", np.zeros_like(digits.images), digits.labels),
        ImageSet(NO_DIGITS, "inverted", 255 - digits.images, None),
    )
    monkeypatch.setattr(command, "image_sets", lambda _split: iter(sets))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["robustness", *map(str, arguments)])
    return command.main()


@pytest.mark.usefixtures("few_sets")
def test_a_recipe_has_a_table_a_picture_and_its_figures(published_home, tmp_path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, "--home", published_home, "--recipes", "baseline", "--pictures", tmp_path) == 0
    *text, last = capsys.readouterr().out.splitlines()
    first_cells = [line.split(" | ")[0].strip("| *") for line in text if line.startswith("|")]
    assert first_cells[2:] == ["clean digits", "dark", "black", "inverted", "mean: corrupted digits", "mean: no digits"]
    found = json.loads(last)["baseline"]
    assert found["clean digits"]["accuracy"] > 0.85
    assert found["black"]["accuracy"] < 0.4
    assert found["inverted"]["accuracy"] is None
    assert found["means"]["corrupted digits"]["accuracy"] == found["dark"]["accuracy"]
    with Image.open(tmp_path / "robustness_baseline.png") as picture:
        assert picture.width > 500


@pytest.mark.usefixtures("few_sets")
def test_two_runs_are_the_same_byte_for_byte(published_home, tmp_path, monkeypatch, capsys) -> None:
    outputs = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        assert run(monkeypatch, "--home", published_home, "--pictures", folder, "--recipes", "baseline") == 0
        outputs.append((capsys.readouterr().out, (folder / "robustness_baseline.png").read_bytes()))
    assert outputs[0] == outputs[1]


@pytest.mark.usefixtures("few_sets")
def test_a_store_without_the_recipe_is_refused_in_a_sentence(published_home, tmp_path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, "--home", published_home, "--recipes", "sgd", "--pictures", tmp_path) == 1
    assert f"{published_home} has no version of sgd; publish one with" in capsys.readouterr().err


def test_the_help_says_what_a_run_takes() -> None:
    command_line = [sys.executable, "-m", "benchmarks.robustness", "--help"]
    finished = subprocess.run(command_line, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True)
    assert "--split {test,validation}" in finished.stdout


def test_without_scikit_learn_the_error_says_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(RuntimeError, match="scikit-learn is missing; `make robustness`"):
        image_sets.small_scans()
