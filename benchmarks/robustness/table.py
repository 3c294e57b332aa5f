"""The rows of a report, and the means of each group of them, as a Markdown table and for scripts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import table
from benchmarks.robustness.image_sets import CLEAN, CORRUPTED, NO_DIGITS, ImageSet
from benchmarks.robustness.measure import Answers, Figures, figures, mean


@dataclass(frozen=True)
class Row:
    """A set of images and what was measured with it."""

    group: str
    name: str
    images: NDArray[np.uint8]
    figures: Figures


def measured(sets: Sequence[ImageSet], answer: Callable[[NDArray[np.uint8]], Answers]) -> list[Row]:
    """Return a row for each of `sets`, of which the first are the clean digits that the others are told from."""
    clean = answer(sets[0].images)
    return [Row(each.group, each.name, each.images, figures(answer(each.images), each.labels, clean)) for each in sets]


def means(rows: Sequence[Row]) -> dict[str, Figures]:
    """Return the mean over the corruptions, and over what is no digit."""
    return {group: mean([row.figures for row in rows if row.group == group]) for group in (CORRUPTED, NO_DIGITS)}


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table, with the two means in bold."""
    scores = list(rows[0].figures.auroc)
    head = ["", "images", "accuracy", "accepted", "right of accepted", *(f"AUROC of {name}" for name in scores)]
    lines = [[row.name, *_cells(row.figures, row.group == CLEAN)] for row in rows]
    lines += [[f"**mean: {group}**", *_cells(each, False)] for group, each in means(rows).items()]
    return table(head, lines)


def _cells(figures: Figures, is_clean: bool) -> Iterator[str]:
    yield f"{figures.images:,}"
    for share in (figures.accuracy, figures.coverage, figures.accepted_accuracy):
        yield "–" if share is None else f"{share:.2%}"
    for area in figures.auroc.values():
        yield "–" if is_clean else f"{area:.3f}"


def as_document(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the same figures for scripts, by name of the set; the means under `means`."""
    return {row.name: asdict(row.figures) for row in rows} | {
        "means": {name: asdict(each) for name, each in means(rows).items()}
    }
