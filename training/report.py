"""What a run shows: the progress bar, the tables, and the pictures in the published version."""

from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from models.card import Evaluation
from models.digits import IMAGE_SHAPE, NUM_CLASSES
from training.evaluate import wilson_interval
from training.fit import History
from training.recipes import Recipe

JsonScalar = str | int | float

# Colours that stay apart for colour-blind readers (Okabe and Ito 2008).
_BLUE, _ORANGE = "#0072b2", "#d55e00"
# Up to this share of the scale, black reads better than white on matplotlib's "Oranges"; the contrast is 4.5 or more.
_PALE_SHARE = 0.76


class ProgressBar(keras.callbacks.Callback):
    """A bar over all epochs of a fit, and beside it loss and accuracy: running, and on validation after each epoch."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        figures = TextColumn("{task.fields[running]}{task.fields[validation]}")
        columns = (
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            figures,
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=console)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        assert self.params is not None
        self._epochs_done = 0
        self._task = self.progress.add_task("fit", total=self.params["epochs"], running="", validation="")

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        assert self.params is not None
        assert logs is not None
        running = f"loss {logs['loss']:.4f}  accuracy {logs['accuracy']:.4f}"
        self.progress.update(self._task, completed=self._epochs_done + (batch + 1) / self.params["steps"], running=running)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        self._epochs_done = epoch + 1
        self.progress.update(self._task, completed=epoch + 1, validation=f"  validation {logs['val_accuracy']:.4f}")


def print_evaluation(console: Console, validation: Evaluation, test: Evaluation) -> None:
    """Print the figures of both splits, and the five pairs of digits most often confused on test."""
    table = Table("", f"validation ({validation.images:,})", f"test ({test.images:,})")
    for name, text in _ROWS.items():
        table.add_row(name, text(validation), text(test))
    console.print(table)
    confusions = ", ".join(f"{label} read as {digit} ({count}×)" for label, digit, count in worst_confusions(test))
    console.print(f"Most often confused on test: {confusions or 'none'}.")


_ROWS = {
    "accuracy": lambda it: f"{it.accuracy:.2%}",
    "95 % interval": lambda it: "{:.2%} to {:.2%}".format(*it.accuracy_interval),
    "loss (nats)": lambda it: f"{it.loss:.4f}",
    "calibration error (15 bins)": lambda it: f"{it.calibration_error:.4f}",
    "Brier score": lambda it: f"{it.brier_score:.4f}",
}


def summary(recipe: Recipe, fit_seconds: float, validation: Evaluation, test: Evaluation) -> dict[str, JsonScalar]:
    """Return the same figures for scripts, flat."""
    fitted: dict[str, JsonScalar] = {"seed": recipe.seed, "epochs": recipe.epochs, "fit_seconds": round(fit_seconds, 3)}
    more = {"learning_rate": recipe.learning_rate, "batch_size": recipe.batch_size}
    return {"recipe": recipe.name} | fitted | _flat("validation", validation) | _flat("test", test) | more


def _flat(split: str, evaluation: Evaluation) -> dict[str, JsonScalar]:
    low, high = evaluation.accuracy_interval
    figures = evaluation.model_dump(include={"accuracy", "loss", "calibration_error", "brier_score"})
    figures |= {"accuracy_low": low, "accuracy_high": high}
    return {f"{split}_{name}": round(value, 6) for name, value in figures.items()}


def worst_confusions(evaluation: Evaluation) -> list[tuple[int, int, int]]:
    """Return up to five (label, digit answered, count), most frequent first."""
    cells = np.ndenumerate(np.array(evaluation.confusion))
    wrong = [(label, digit, int(count)) for (label, digit), count in cells if label != digit and count]
    return sorted(wrong, key=lambda mistake: -mistake[2])[:5]


def draw_pictures(folder: Path, classifier: keras.Sequential, history: History, test: Evaluation) -> None:
    """Draw the weights, the confusion matrix, the reliability diagram and the learning curve into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "weights.png": _draw_weights(classifier.get_weights()[0]),
        "confusion.png": _draw_confusion(np.array(test.confusion)),
        "reliability.png": _draw_reliability(test),
        "learning_curve.png": _draw_learning_curve(history),
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


def _draw_reliability(test: Evaluation) -> Figure:
    figure = Figure(figsize=(6.4, 7), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    filled = [each for each in test.reliability if each.images]
    confidence, accuracy = np.array([(each.mean_confidence, each.accuracy) for each in filled]).T
    intervals = np.array([wilson_interval(round(each.accuracy * each.images), each.images) for each in filled])
    errors = np.abs(intervals.T - accuracy)
    upper.plot([0, 1], [0, 1], color="grey", linestyle="--", label="perfect calibration")
    # Without a line, which would join bins of very few images.
    upper.errorbar(confidence, accuracy, errors, fmt="o", color=_BLUE, capsize=3, label="test, with 95 % intervals")
    title = f"Reliability: calibration error {test.calibration_error:.4f} over {len(test.reliability)} bins"
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02), title=title)
    upper.legend(loc="upper left")
    edges = np.arange(len(test.reliability)) / len(test.reliability)
    lower.bar(edges, [each.images for each in test.reliability], width=edges[1], align="edge", color=_BLUE, edgecolor="white")
    lower.set(xlabel="confidence (probability of the digit answered)", ylabel="images", yscale="log")
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
