"""One picture of a recipe's robustness: for each set of images some of them, how many are read right, and how well it shows."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.robustness.measure import Figures
from benchmarks.robustness.table import Row
from models.digits import IMAGE_SHAPE

_EXAMPLES = 8
# Colours that stay apart for colour-blind readers (Okabe and Ito 2008).
_COLOURS = ("#0072b2", "#d55e00", "#009e73")


def draw(title: str, rows: Sequence[Row]) -> Figure:
    """Draw `rows` from the top down: examples, shares, areas under the ROC curve."""
    figure = Figure(figsize=(12, 0.36 * len(rows) + 1.4), layout="constrained")
    figure.suptitle(title)
    examples, shares, areas = figure.subplots(1, 3, width_ratios=(1.1, 1, 1))
    strips = [np.hstack([*row.images[:: len(row.images) // _EXAMPLES][:_EXAMPLES].reshape(-1, *IMAGE_SHAPE)]) for row in rows]
    height, width = strips[0].shape
    examples.imshow(
        np.vstack(strips),
        cmap="gray",
        interpolation="nearest",
        extent=(0, width / height, len(rows) - 0.5, -0.5),
        aspect="auto",
    )
    examples.set(yticks=range(len(rows)), yticklabels=[row.name for row in rows], xticks=[])
    share_of = {"accuracy": "accuracy", "accepted": "coverage", "right of what is accepted": "accepted_accuracy"}
    for place, (label, field) in enumerate(share_of.items()):
        _dots(shares, rows, label, lambda figures, field=field: getattr(figures, field), place)
    _finish(shares, "share of the images", (0, 1.02))
    for place, name in enumerate(rows[0].figures.auroc):
        _dots(areas, rows, name, lambda figures, name=name: figures.auroc[name], place)
    _finish(areas, "AUROC: told from clean digits by", (0.4, 1.02))
    for axes in (shares, areas):
        axes.set(ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)), yticklabels=[])
    return figure


def _dots(axes: Axes, rows: Sequence[Row], label: str, value: Callable[[Figures], float | None], place: int) -> None:
    points = [(found, height) for height, row in enumerate(rows) if (found := value(row.figures)) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), linestyle="", marker="os^"[place], color=_COLOURS[place], label=label)


def _finish(axes: Axes, label: str, limits: tuple[float, float]) -> None:
    axes.set(xlabel=label, xlim=limits)
    axes.grid(alpha=0.4)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize="small")
