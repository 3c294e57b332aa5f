"""The perceptron: a line, the rule that moves it towards the points it gets wrong, and two of them in a hidden layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType

import numpy as np

Point = tuple[float, ...]

# The corners of the unit square, in the order of a truth table.
CORNERS: tuple[Point, ...] = ((0, 0), (0, 1), (1, 0), (1, 1))
GATES = MappingProxyType({"AND": "0001", "OR": "0111", "XOR": "0110"})
"""What each gate answers for the corners, in their order."""

MAX_EPOCHS = 200


@dataclass(frozen=True)
class Epoch:
    """The unit after `number` passes over the points, and how many of them it then gets wrong; number 0 is the start."""

    number: int
    weights: tuple[float, ...]
    bias: float
    errors: int


def activation(point: Point, weights: Sequence[float], bias: float) -> int:
    """Return the sign, -1, 0 or 1, of weights · point + bias.

    0 is a point on the line itself: of neither class, and so an error whatever its class is.
    """
    value = bias + sum(weight * coordinate for weight, coordinate in zip(weights, point, strict=True))
    return (value > 0) - (value < 0)


def fit(points: Sequence[Point], classes: Sequence[int], learning_rate: float, start: Sequence[float]) -> Iterator[Epoch]:
    """Yield the unit at `start`, its weights and bias, then after each pass over `points`, whose `classes` are -1 or 1.

    Each point that is answered wrongly moves the weights by learning_rate · class · point and the bias by
    learning_rate · class (Rosenblatt 1958, Psychological Review 65:386-408). Ends once no point is wrong, which comes
    if a line (a plane, in three dimensions) can separate the classes, and else never.
    """
    *weights, bias = start
    number = 0
    while True:
        errors = sum(activation(point, weights, bias) != label for point, label in zip(points, classes, strict=True))
        yield Epoch(number, tuple(weights), bias, errors)
        if not errors:
            return
        for point, label in zip(points, classes, strict=True):
            if activation(point, weights, bias) != label:
                step = learning_rate * label
                weights = [weight + step * coordinate for weight, coordinate in zip(weights, point, strict=True)]
                bias += step
        number += 1


@dataclass(frozen=True)
class Unit:
    """One perceptron's training: the classes that it was to learn, written 0 and 1 in the order of points, and its epochs."""

    target: str
    epochs: tuple[Epoch, ...]

    @property
    def learned(self) -> bool:
        return not self.epochs[-1].errors

    def answer(self, point: Point) -> int:
        """Return what the unit answers at the end: -1, 0 or 1."""
        return activation(point, self.epochs[-1].weights, self.epochs[-1].bias)


def learn_gate(target: str, learning_rate: float = 0.1, seed: int = 0, max_epochs: int = MAX_EPOCHS) -> Unit:
    """Train one perceptron on the corners, whose classes are the four digits 0 and 1 of `target`."""
    return _trained(CORNERS, target, learning_rate, seed, max_epochs)


def learn_gate_with_hidden_layer(
    target: str, learning_rate: float = 0.1, seed: int = 0, max_epochs: int = MAX_EPOCHS
) -> tuple[Unit, Unit, Unit]:
    """Train two hidden perceptrons on the corners, and a third on their answers; return them in that order.

    The rule cannot tell what a hidden unit should answer, so each is told: the first learns the ones of `target` on the
    left side of the square, the second those on the right. A line can cut off any part of one side, so both are
    learned; and the third learns OR.
    """
    left = _trained(CORNERS, target[:2] + "00", learning_rate, seed, max_epochs)
    right = _trained(CORNERS, "00" + target[2:], learning_rate, seed + 1, max_epochs)
    answers = [(left.answer(corner), right.answer(corner)) for corner in CORNERS]
    return left, right, _trained(answers, target, learning_rate, seed + 2, max_epochs)


def _trained(points: Sequence[Point], target: str, learning_rate: float, seed: int, max_epochs: int) -> Unit:
    classes = [1 if digit == "1" else -1 for digit in target]
    start = np.random.default_rng(seed).standard_normal(len(points[0]) + 1).tolist()
    return Unit(target, tuple(islice(fit(points, classes, learning_rate, start), max_epochs + 1)))
