import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from models.card import Acceptance, Accepted, CoverageRow, Evaluation, Thresholds
from training.assessment import Candidate
from training.data import read_mnist
from training.fit import Fit, fit
from training.recipes import RECIPES
from training.report import ProgressBar, print_acceptance, print_evaluation, summary, worst_confusions


def confused(evaluation: Evaluation, counts: dict[tuple[int, int], int]) -> Evaluation:
    confusion = tuple(tuple(counts.get((label, digit), 0) for digit in range(10)) for label in range(10))
    return evaluation.model_copy(update={"confusion": confusion})


def printed(validation: Evaluation, test: Evaluation) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_evaluation(console, validation, test)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_worst_confusions_come_most_frequent_first_and_end_after_five(evaluation: Evaluation):
    counts = {(8, 1): 3, (2, 7): 9, (7, 2): 4, (4, 9): 7, (0, 6): 1, (9, 4): 8, (3, 3): 100}
    worst = worst_confusions(confused(evaluation, counts))
    assert worst == [(2, 7, 9), (9, 4, 8), (4, 9, 7), (7, 2, 4), (8, 1, 3)]


def test_right_answers_are_no_confusions(perfect: Evaluation):
    assert worst_confusions(perfect) == []
    assert "Most often confused on test: none." in printed(perfect, perfect)


def test_the_table_has_the_figures_of_both_splits(evaluation: Evaluation, perfect: Evaluation):
    test = evaluation.model_copy(
        update={
            "images": 12_345,
            "accuracy": 0.92786,
            "accuracy_interval": (0.9227, 0.9328),
            "loss": 0.26151,
            "calibration_error": 0.01719,
            "brier_score": 0.11094,
        }
    )
    text = printed(perfect, confused(test, {(2, 8): 39}))
    for figure in ("test (12,345)", "92.79%", "92.27% to 93.28%", "0.2615", "0.0172", "0.1109", "2 read as 8 (39×)"):
        assert figure in text
    assert "validation (10)" in text
    assert "100.00%" in text


@pytest.fixture
def accepting(candidate: Candidate) -> Candidate:
    """Return `candidate` as if its thresholds accepted 61.23 % of test, of which 99.12 % are right."""
    accepted = Accepted(coverage=0.6123, accuracy=0.9912, accuracy_interval=(0.9888, 0.9931))
    rows = (
        CoverageRow(coverage=1.0, accuracy=0.92, min_confidence=0.25),
        CoverageRow(coverage=0.7, accuracy=0.9901, min_confidence=0.94),
        CoverageRow(coverage=0.5, accuracy=0.995, min_confidence=0.98),
    )
    thresholds = Thresholds(min_confidence=0.9601, max_novelty=0.9577)
    acceptance = Acceptance(validation=accepted.model_copy(update={"coverage": 0.99}), test=accepted)
    return replace(candidate, thresholds=thresholds, acceptance=acceptance, coverage=rows)


def test_what_is_printed_of_acceptance_has_the_temperature_the_thresholds_and_each_row_of_the_table(accepting: Candidate):
    console = Console(file=io.StringIO(), width=200)
    print_acceptance(console, accepting)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    before, after = accepting.calibration.test_before, accepting.test
    for figure in (
        f"temperature {accepting.calibration.temperature:.3f}",
        f"{before.calibration_error:.4f} → {after.calibration_error:.4f}",
        f"{before.loss:.4f} → {after.loss:.4f}",
        "confidence of 96.01% on, up to a novelty of 95.77%",
        "61.23% of test, of which 99.12% are right (98.88% to 99.31%)",
    ):
        assert figure in text
    assert [line.split() for line in text.splitlines() if "0.9400" in line] == [
        ["│", "70.00%", "│", "99.01%", "│", "0.9400", "│"]
    ]
    assert "0.2500" in text
    assert "0.9800" in text


def test_the_summary_is_flat_and_json(accepting: Candidate, evaluation: Evaluation, perfect: Evaluation):
    recipe, fitted = replace(RECIPES["sgd"], seed=3), Fit(accepting.fit.classifier, accepting.fit.history, 1.23456)
    figures = summary(replace(accepting, recipe=recipe, fit=fitted, validation=perfect, test=evaluation))
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert all(isinstance(value, str | int | float) for value in figures.values())
    chosen = {"recipe": "sgd", "seed": 3, "epochs": 20, "learning_rate": 0.5, "batch_size": 100}
    assert (chosen | {"fit_seconds": 1.235}).items() <= figures.items()
    assert figures["validation_accuracy"] == 1
    assert figures["test_accuracy"] == pytest.approx(evaluation.accuracy, abs=1e-6)
    assert figures["test_accuracy_low"] == pytest.approx(evaluation.accuracy_interval[0], abs=1e-6)
    known = {
        "temperature": round(accepting.calibration.temperature, 6),
        "min_confidence": 0.9601,
        "max_novelty": 0.9577,
        "test_coverage": 0.6123,
        "test_accepted_accuracy": 0.9912,
        "test_coverage_at_99": 0.7,
    }
    assert known.items() <= figures.items()
    measures = ("accuracy", "loss", "calibration_error", "brier_score", "accuracy_low", "accuracy_high")
    assert figures.keys() - chosen.keys() - known.keys() - {"fit_seconds"} == {
        f"{split}_{measure}" for split in ("validation", "test") for measure in measures
    }


def test_the_progress_bar_ends_full_with_the_figures_of_the_last_epoch(tiny_data: Path):
    tiny, console = read_mnist(tiny_data), Console(file=io.StringIO(), width=150)
    bar = ProgressBar(console)
    with bar.progress:
        fitted = fit(replace(RECIPES["baseline"], epochs=2), tiny.train, tiny.validation, [bar])
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "2/2" in shown
    assert "left 0:00:00" in shown
    assert f"loss {fitted.history.train_loss[-1]:.4f}" in shown
    assert f"validation {fitted.history.validation_accuracy[-1]:.4f}" in shown


@pytest.mark.parametrize("steps", [0, 1])
def test_the_progress_bar_shows_no_figure_that_is_not_there_yet(steps: int):
    console = Console(file=io.StringIO(), width=150)
    bar = ProgressBar(console)
    bar.set_params({"epochs": 2, "steps": 4})
    with bar.progress:
        bar.on_train_begin()
        for step in range(steps):
            bar.on_train_batch_end(step, {"loss": 0.5, "accuracy": 0.75})
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "0/2" in shown
    assert ("loss 0.5000  accuracy 0.7500" in shown) == bool(steps)
    assert "nan" not in shown
    assert "validation" not in shown
