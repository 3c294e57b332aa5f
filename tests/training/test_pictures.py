from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from matplotlib.typing import ColorType

from models.architectures import build, with_softmax
from models.card import Accepted, CoverageRow, Evaluation
from training.assessment import Candidate
from training.evaluate import wilson_interval
from training.pictures import _draw_confusion, _draw_coverage, _draw_filters, _draw_reliability, draw_pictures

PICTURES = ("weights.png", "confusion.png", "reliability.png", "coverage.png", "learning_curve.png")


@pytest.mark.parametrize("which", ["evaluation", "perfect"])
def test_five_pictures_are_drawn_that_decode_and_are_not_blank(
    candidate: Candidate, tmp_path: Path, request: pytest.FixtureRequest, which: str
):
    draw_pictures(tmp_path / "pictures", replace(candidate, test=request.getfixturevalue(which)))
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == sorted(PICTURES)
    for name in PICTURES:
        picture = imread(tmp_path / "pictures" / name)
        assert min(picture.shape[:2]) > 300
        assert picture[..., :3].std() > 0.05


def test_the_first_layer_of_a_convolutional_model_is_drawn_as_its_filters(candidate: Candidate, tmp_path: Path):
    fitted = replace(candidate.fit, classifier=with_softmax(build("conv")))
    draw_pictures(tmp_path, replace(candidate, fit=fitted))
    picture = imread(tmp_path / "weights.png")[..., :3]
    assert picture.std() > 0.05
    filters = fitted.classifier.get_weights()[0]
    assert len(_draw_filters(filters).axes) == filters.shape[-1] + 1  # and the scale


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
    upper = _draw_reliability(evaluation, evaluation).axes[0]
    marks = {str(line.get_marker()): line.get_linestyle() for line in upper.lines}
    assert (marks["x"], marks["o"]) == ("None", "None")


def test_the_bars_of_the_reliability_diagram_are_the_intervals_of_its_bins(evaluation: Evaluation, perfect: Evaluation):
    drawn = _draw_reliability(perfect, evaluation).axes[0].collections
    for bars, measured in zip(drawn, (perfect, evaluation), strict=True):
        assert isinstance(bars, LineCollection)
        ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
        filled = [each for each in measured.reliability if each.images]
        expected = [wilson_interval(round(each.accuracy * each.images), each.images) for each in filled]
        np.testing.assert_allclose(ends, expected, atol=1e-9)


def test_the_reliability_diagram_says_the_calibration_error_before_and_after(evaluation: Evaluation, perfect: Evaluation):
    legend = _draw_reliability(perfect, evaluation).axes[0].get_legend()
    assert legend is not None
    said = " ".join(text.get_text() for text in legend.get_texts())
    assert "before calibration: error 0.0000" in said
    assert f"after calibration: error {evaluation.calibration_error:.4f}" in said


def test_coverage_is_drawn_against_accuracy_with_what_is_accepted():
    rows = (
        CoverageRow(coverage=1.0, accuracy=0.92, min_confidence=0.25),
        CoverageRow(coverage=0.5, accuracy=0.995, min_confidence=0.98),
    )
    accepted = Accepted(coverage=0.6, accuracy=0.99, accuracy_interval=(0.98, 0.995))
    (axes,) = _draw_coverage(rows, accepted).axes
    assert [np.asarray(line.get_xydata()).tolist() for line in axes.lines[:2]] == [[[1.0, 0.92], [0.5, 0.995]], [[0.6, 0.99]]]
    (bar,) = axes.collections
    assert isinstance(bar, LineCollection)
    assert [segment[:, 1].tolist() for segment in bar.get_segments()] == [pytest.approx([0.98, 0.995])]


def test_nothing_touches_the_edge_of_a_picture(candidate: Candidate, tmp_path: Path, evaluation: Evaluation):
    draw_pictures(tmp_path, replace(candidate, test=evaluation))
    for name in PICTURES:
        picture = imread(tmp_path / name)[..., :3]
        assert picture[:8].min() == picture[-8:].min() == picture[:, :8].min() == picture[:, -8:].min() == 1, name


def test_the_same_run_draws_the_same_bytes(candidate: Candidate, tmp_path: Path):
    for folder in ("first", "second"):
        draw_pictures(tmp_path / folder, candidate)
    for name in PICTURES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
