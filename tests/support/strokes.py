"""Digits as strokes of a pen, in the ways that people write them, made from a seed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Stroke = NDArray[np.float64]  # (N, 2), x to the right and y down, as shares of the paper's side


@dataclass(frozen=True)
class Drawing:
    """What is drawn, in which way, and the digit that it is meant to be."""

    kind: str
    digit: int
    strokes: list[Stroke]


def _line(*points: tuple[float, float]) -> Stroke:
    return np.array(points)


def _arc(x: float, y: float, width: float, height: float, start: float, stop: float) -> Stroke:
    """Return a part of an ellipse, in degrees from the right, clockwise."""
    angles = np.deg2rad(np.linspace(start, stop, max(4, int(abs(stop - start) / 20))))
    return np.column_stack([x + width * np.cos(angles), y + height * np.sin(angles)])


_ZERO = _arc(0.5, 0.5, 0.32, 0.48, -90, 270)
_SEVEN = _line((0.15, 0.06), (0.85, 0.06), (0.4, 0.98))

# In a box of 1×1.
DIGITS: list[list[Stroke]] = [
    [_ZERO],
    [_line((0.5, 0.02), (0.5, 0.98))],
    [np.vstack([_arc(0.48, 0.28, 0.3, 0.26, 190, 390), _line((0.18, 0.96), (0.85, 0.96))])],
    [np.vstack([_arc(0.45, 0.26, 0.3, 0.24, 200, 450), _arc(0.45, 0.74, 0.35, 0.25, 270, 520)])],
    [_line((0.65, 0.02), (0.12, 0.66), (0.92, 0.66)), _line((0.65, 0.02), (0.65, 0.98))],
    [np.vstack([_line((0.27, 0.04), (0.23, 0.45)), _arc(0.45, 0.68, 0.34, 0.29, 230, 510)]), _line((0.27, 0.04), (0.8, 0.04))],
    [np.vstack([_line((0.68, 0.02), (0.45, 0.2), (0.27, 0.45)), _arc(0.5, 0.72, 0.3, 0.26, 190, -170)])],
    [_SEVEN],
    [np.vstack([_arc(0.5, 0.26, 0.26, 0.23, 90, 450), _arc(0.5, 0.73, 0.31, 0.25, 270, 630)])],
    [np.vstack([_arc(0.48, 0.3, 0.28, 0.27, 0, -360), _line((0.74, 0.6), (0.7, 0.98))])],
]
VARIANTS: dict[str, tuple[int, list[Stroke]]] = {
    "crossed 7": (7, [_SEVEN, _line((0.3, 0.52), (0.78, 0.52))]),
    "open 4": (4, [_line((0.2, 0.05), (0.16, 0.52), (0.88, 0.52)), _line((0.75, 0.05), (0.7, 0.98))]),
    "slashed 0": (0, [_ZERO, _line((0.74, 0.12), (0.26, 0.88))]),
    "European 1": (1, [_line((0.36, 0.26), (0.56, 0.03), (0.56, 0.98))]),
}
# Size as a share of the paper, and how far the top leans to the right.
WAYS = {"normal": (0.6, 0.05), "tiny": (0.2, 0.0), "huge": (0.88, 0.0), "slanted": (0.55, 0.4), "leaning left": (0.55, -0.3)}


def drawings(seed: int) -> Iterator[Drawing]:
    """Yield 84: twenty normal ones, ten in each other way, six of each variant."""
    random = np.random.default_rng(seed)
    for kind, (size, slant) in WAYS.items():
        for digit, strokes in [*enumerate(DIGITS)] * (2 if kind == "normal" else 1):
            yield Drawing(kind, digit, _written(strokes, size, slant, random))
    for kind, (digit, strokes) in VARIANTS.items():
        for _ in range(6):
            yield Drawing(kind, digit, _written(strokes, random.uniform(0.45, 0.7), 0.05, random))


def _written(strokes: list[Stroke], size: float, slant: float, random: np.random.Generator) -> list[Stroke]:
    """Return `strokes` as a hand writes them: turned, narrowed, shaky, and not quite in the middle."""
    angle, width = random.normal(0, 0.06), random.uniform(0.75, 1.0)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shape = size * np.array([[width, 0], [-slant, 1]]) @ turn
    room = max(0.0, 0.46 - size / 2) * 0.6
    middle = 0.5 + random.uniform(-room, room, 2)
    return [np.clip((each - 0.5 + random.normal(0, 0.012, each.shape)) @ shape + middle, 0.04, 0.96) for each in strokes]
