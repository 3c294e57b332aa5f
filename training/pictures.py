"""The pictures in a published version."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from models.card import Accepted, CoverageRow, Evaluation
from models.digits import IMAGE_SHAPE, NUM_CLASSES
from training.assessment import Candidate
from training.evaluate import wilson_interval
from training.fit import History

# Colours that stay apart for colour-blind readers (Okabe and Ito 2008).
_BLUE, _ORANGE = "#0072b2", "#d55e00"
# Up to this share of the scale, black reads better than white on matplotlib's "Oranges"; the contrast is 4.5 or more.
_PALE_SHARE = 0.76


def draw_pictures(folder: Path, candidate: Candidate) -> None:
    """Draw what the first layer learned, confusion, reliability, coverage against accuracy and learning curve into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    kernel = candidate.fit.classifier.get_weights()[0]
    figures = {
        "weights.png": _draw_weights(kernel) if kernel.ndim == 2 else _draw_filters(kernel),
        "confusion.png": _draw_confusion(np.array(candidate.test.confusion)),
        "reliability.png": _draw_reliability(candidate.test_before, candidate.test),
        "coverage.png": _draw_coverage(candidate.coverage, candidate.acceptance.test),
        "learning_curve.png": _draw_learning_curve(candidate.fit.history),
    }
    for name, figure in figures.items():
        # Without the date and the software version, the same run draws the same bytes.
        figure.savefig(folder / name, dpi=110, metadata={"Software": None}, bbox_inches="tight", pad_inches=0.15)


def _draw_weights(weights: np.ndarray) -> Figure:
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    figure.suptitle("The 784 weights of each logit: for the digit (blue) or against it (red)")
    limit = float(np.percentile(np.abs(weights), 99.5))
    axes = figure.subplots(2, 5)
    for digit, panel in enumerate(axes.flat):
        panel.imshow(weights[:, digit].reshape(IMAGE_SHAPE), cmap="RdBu", vmin=-limit, vmax=limit)
        panel.set_title(str(digit))
        panel.set_axis_off()
    figure.colorbar(axes.flat[0].images[0], ax=axes, label="weight", shrink=0.8)
    return figure


def _draw_filters(kernel: np.ndarray) -> Figure:
    filters = kernel[:, :, 0].transpose(2, 0, 1)
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    figure.suptitle(f"The {len(filters)} filters of the first layer: what lights them (blue) and darkens them (red)")
    limit = float(np.abs(filters).max())
    panels = figure.subplots(2, -(-len(filters) // 2))
    for panel, each in zip(panels.flat, filters, strict=False):
        panel.imshow(each, cmap="RdBu", vmin=-limit, vmax=limit)
    for panel in panels.flat:
        panel.set_axis_off()
    figure.colorbar(panels.flat[0].images[0], ax=panels, label="weight", shrink=0.8)
    return figure


def _draw_confusion(confusion: np.ndarray) -> Figure:
    figure = Figure(figsize=(6.6, 6.8), layout="constrained")
    axes = figure.subplots()
    mistakes = np.where(np.eye(NUM_CLASSES, dtype=bool), 0, confusion)
    # Only mistakes are coloured: on their own scale they can be told apart, beside the diagonal they cannot.
    axes.imshow(mistakes, cmap="Oranges")
    for label, digit in np.ndindex(confusion.shape):
        color = "black" if mistakes[label, digit] <= _PALE_SHARE * mistakes.max() else "white"
        weight = "bold" if label == digit else "normal"
        axes.text(digit, label, f"{confusion[label, digit]}", ha="center", va="center", color=color, weight=weight)
    title = f"Answers to {confusion.sum():,} test digits; mistakes in colour"
    axes.set(xticks=range(NUM_CLASSES), yticks=range(NUM_CLASSES), xlabel="digit answered", ylabel="label", title=title)
    return figure


def _draw_reliability(before: Evaluation, test: Evaluation) -> Figure:
    figure = Figure(figsize=(6.4, 7), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    upper.plot([0, 1], [0, 1], color="grey", linestyle="--", label="perfect calibration")
    for each, color, mark, when in ((before, _ORANGE, "x", "before"), (test, _BLUE, "o", "after")):
        filled = [each for each in each.reliability if each.images]
        confidence, accuracy = np.array([(each.mean_confidence, each.accuracy) for each in filled]).T
        intervals = np.array([wilson_interval(round(each.accuracy * each.images), each.images) for each in filled])
        label = f"test {when} calibration: error {each.calibration_error:.4f}"
        # Without a line, which would join bins of very few images.
        upper.errorbar(confidence, accuracy, np.abs(intervals.T - accuracy), fmt=mark, color=color, capsize=3, label=label)
    title = f"Reliability over {len(test.reliability)} bins, with 95 % intervals"
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02), title=title)
    upper.legend(loc="upper left")
    edges = np.arange(len(test.reliability)) / len(test.reliability)
    lower.bar(edges, [each.images for each in test.reliability], width=edges[1], align="edge", color=_BLUE, edgecolor="white")
    lower.set(xlabel="confidence (probability of the digit answered)", ylabel="images", yscale="log")
    return figure


def _draw_coverage(rows: tuple[CoverageRow, ...], accepted: Accepted) -> Figure:
    figure = Figure(figsize=(6.8, 4.8), layout="constrained")
    axes = figure.subplots()
    covered, right = [row.coverage for row in rows], [row.accuracy for row in rows]
    axes.plot(covered, right, color=_BLUE, marker=".", label="the most confident answers to test")
    errors = [[abs(end - accepted.accuracy)] for end in accepted.accuracy_interval]
    label = f"accepted: {accepted.accuracy:.2%} right of {accepted.coverage:.2%}"
    axes.errorbar([accepted.coverage], [accepted.accuracy], errors, fmt="D", color=_ORANGE, capsize=3, label=label)
    axes.set(xlabel="coverage (share of test that is answered)", ylabel="accuracy of what is answered", xlim=(0, 1.02))
    axes.set_title("Coverage against accuracy")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    return figure


def _draw_learning_curve(history: History) -> Figure:
    figure = Figure(figsize=(9, 4), layout="constrained")
    epochs = np.arange(1, len(history.train_loss) + 1)
    losses = "loss (nats)", history.train_loss, history.validation_loss
    accuracies = "accuracy", history.train_accuracy, history.validation_accuracy
    for axes, (name, train, validation) in zip(figure.subplots(1, 2), (losses, accuracies), strict=True):
        axes.plot(epochs, train, color=_ORANGE, linestyle="--", marker=".", label="training, mean over the epoch")
        if validation:
            axes.plot(epochs, validation, color=_BLUE, marker=".", label="validation, after the epoch")
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    return figure
