import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from matplotlib.typing import ColorType
from rich.console import Console

from models.architectures import build, with_softmax
from models.card import Evaluation
from training.data import read_mnist
from training.evaluate import evaluate_probabilities, wilson_interval
from training.fit import History, fit
from training.recipes import RECIPES
from training.report import (
    ProgressBar,
    _draw_confusion,
    _draw_reliability,
    draw_pictures,
    print_evaluation,
    summary,
    worst_confusions,
)

PICTURES = ("weights.png", "confusion.png", "reliability.png", "learning_curve.png")
HISTORY = History((0.9, 0.5), (0.7, 0.8), (0.8, 0.6), (0.75, 0.8))


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Return the measure of 400 random answers."""
    random = np.random.default_rng(0)
    return evaluate_probabilities(
        random.dirichlet(np.full(10, 0.2), 400).astype(np.float32), random.integers(0, 10, 400, np.uint8)
    )


@pytest.fixture(scope="module")
def perfect() -> Evaluation:
    digits = np.arange(10, dtype=np.uint8)
    return evaluate_probabilities(np.eye(10, dtype=np.float32), digits)


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


def test_the_summary_is_flat_and_json(evaluation: Evaluation, perfect: Evaluation):
    figures = summary(replace(RECIPES["sgd"], seed=3), 1.23456, perfect, evaluation)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert all(isinstance(value, str | int | float) for value in figures.values())
    chosen = {"recipe": "sgd", "seed": 3, "epochs": 20, "learning_rate": 0.5, "batch_size": 100}
    assert (chosen | {"fit_seconds": 1.235}).items() <= figures.items()
    assert figures["validation_accuracy"] == 1
    assert figures["test_accuracy"] == pytest.approx(evaluation.accuracy, abs=1e-6)
    assert figures["test_accuracy_low"] == pytest.approx(evaluation.accuracy_interval[0], abs=1e-6)
    measures = ("accuracy", "loss", "calibration_error", "brier_score", "accuracy_low", "accuracy_high")
    assert figures.keys() - chosen.keys() - {"fit_seconds"} == {
        f"{split}_{measure}" for split in ("validation", "test") for measure in measures
    }


@pytest.mark.parametrize("which", ["evaluation", "perfect"])
def test_four_pictures_are_drawn_that_decode_and_are_not_blank(tmp_path: Path, request: pytest.FixtureRequest, which: str):
    draw_pictures(tmp_path / "pictures", with_softmax(build("softmax")), HISTORY, request.getfixturevalue(which))
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == sorted(PICTURES)
    for name in PICTURES:
        picture = imread(tmp_path / "pictures" / name)
        assert min(picture.shape[:2]) > 300
        assert picture[..., :3].std() > 0.05


def contrast(one: ColorType, other: ColorType) -> float:
    """Return the contrast of two colours (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio), 1 to 21."""
    linear = [
        np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) for c in map(np.array, (to_rgb(one), to_rgb(other)))
    ]
    dark, bright = sorted(float(channels @ (0.2126, 0.7152, 0.0722)) for channels in linear)
    return (bright + 0.05) / (dark + 0.05)


def test_every_count_in_the_confusion_matrix_can_be_read():
    confusion = np.arange(100).reshape(10, 10)
    (axes,) = _draw_confusion(confusion).axes
    (picture,) = axes.images
    shown = {text.get_text(): text for text in axes.texts}
    for count in (each for each in confusion.flat if each % 11):  # 0, 11, 22, … are on the diagonal
        ground = tuple(picture.to_rgba(np.array([count]))[0])
        assert contrast(shown[str(count)].get_color(), ground) >= 4.5, count


def test_no_line_joins_the_bins_of_the_reliability_diagram(evaluation: Evaluation):
    upper = _draw_reliability(evaluation).axes[0]
    assert [line.get_linestyle() for line in upper.lines if line.get_marker() == "o"] == ["None"]


def test_the_bars_of_the_reliability_diagram_are_the_intervals_of_its_bins(evaluation: Evaluation):
    (bars,) = _draw_reliability(evaluation).axes[0].collections
    assert isinstance(bars, LineCollection)
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    filled = [each for each in evaluation.reliability if each.images]
    expected = [wilson_interval(round(each.accuracy * each.images), each.images) for each in filled]
    np.testing.assert_allclose(ends, expected, atol=1e-9)


def test_nothing_touches_the_edge_of_a_picture(tmp_path: Path, evaluation: Evaluation):
    draw_pictures(tmp_path, with_softmax(build("softmax")), HISTORY, evaluation)
    for name in PICTURES:
        picture = imread(tmp_path / name)[..., :3]
        assert picture[:8].min() == picture[-8:].min() == picture[:, :8].min() == picture[:, -8:].min() == 1, name


def test_the_same_run_draws_the_same_bytes(tmp_path: Path, evaluation: Evaluation):
    classifier = with_softmax(build("softmax"))
    for folder in ("first", "second"):
        draw_pictures(tmp_path / folder, classifier, HISTORY, evaluation)
    for name in PICTURES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


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
