"""What a run shows: the progress bar, the tables, and the summary for scripts."""

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from models.card import Evaluation, coverage_at
from training.assessment import Candidate

JsonScalar = str | int | float


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


def print_acceptance(console: Console, candidate: Candidate) -> None:
    """Print what calibration changed, what the thresholds accept, and the table of coverage against accuracy."""
    calibration, thresholds, test = candidate.calibration, candidate.thresholds, candidate.acceptance.test
    before, after = calibration.test_before, candidate.test
    console.print(
        f"Calibrated with the temperature {calibration.temperature:.3f}: on test, calibration error "
        f"{before.calibration_error:.4f} → {after.calibration_error:.4f}, loss {before.loss:.4f} → {after.loss:.4f}."
    )
    low, high = test.accuracy_interval
    console.print(
        f"Accepted from a confidence of {thresholds.min_confidence:.2%} on, up to a novelty of {thresholds.max_novelty:.2%}: "
        f"{test.coverage:.2%} of test, of which {test.accuracy:.2%} are right ({low:.2%} to {high:.2%})."
    )
    table = Table("test covered", "right", "confidence from")
    for row in candidate.coverage:
        table.add_row(f"{row.coverage:.2%}", f"{row.accuracy:.2%}", f"{row.min_confidence:.4f}")
    console.print(table)
    console.print("Behaviour: " + ", ".join(f"{name} {share:.1%}" for name, share in candidate.behaviour.items()) + ".")


def summary(candidate: Candidate) -> dict[str, JsonScalar]:
    """Return the same figures for scripts, flat."""
    recipe, accepted = candidate.recipe, candidate.acceptance.test
    figures: dict[str, JsonScalar] = {"recipe": recipe.name, "seed": recipe.seed, "epochs": recipe.epochs}
    figures["fit_seconds"] = round(candidate.fit.seconds, 3)
    figures |= _flat("validation", candidate.validation) | _flat("test", candidate.test)
    known = {"temperature": candidate.calibration.temperature, **candidate.thresholds.model_dump()}
    known |= {"test_coverage": accepted.coverage, "test_accepted_accuracy": accepted.accuracy}
    known["test_coverage_at_99"] = coverage_at(0.99, candidate.coverage)
    figures |= {name: round(value, 6) for name, value in known.items()}
    return figures | {"learning_rate": recipe.learning_rate, "batch_size": recipe.batch_size}


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
