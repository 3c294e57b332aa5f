"""The perceptron: a line, the rule that moves it towards the points it gets wrong, and two of them in a hidden layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

# The corners of the unit square, in the order of a truth table.
CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
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


def activation(points: NDArray[np.float64], weights: Sequence[float], bias: float) -> NDArray[np.float64]:
    """Return the sign, -1, 0 or 1, of weights · point + bias for each of `points` (N, D).

    0 is a point on the line itself: of neither class, and so an error whatever its class is.
    """
    return np.sign(points @ np.asarray(weights) + bias)


def fit(points: NDArray[np.float64], classes: NDArray[np.float64], learning_rate: float, seed: int) -> Iterator[Epoch]:
    """Yield the unit as drawn from N(0, 1), then after each pass over `points` (N, D) of `classes` (N,), -1 or 1.

    Each point that is answered wrongly moves the weights by learning_rate · class · point and the bias by
    learning_rate · class (Rosenblatt 1958, Psychological Review 65:386-408). Ends once no point is wrong, which comes
    if a line (a plane, for D = 3) can separate the classes, and else never.
    """
    *weights, bias = np.random.default_rng(seed).standard_normal(points.shape[1] + 1).tolist()
    number = 0
    while True:
        errors = int(np.sum(activation(points, weights, bias) != classes))
        yield Epoch(number, tuple(weights), bias, errors)
        if not errors:
            return
        for point, class_ in zip(points.tolist(), classes.tolist(), strict=True):
            if activation(np.array([point]), weights, bias)[0] != class_:
                weights = [weight + learning_rate * class_ * value for weight, value in zip(weights, point, strict=True)]
                bias += learning_rate * class_
        number += 1


@dataclass(frozen=True)
class Unit:
    """One perceptron's training: the class of each corner that it was to learn, as 0 and 1, and its epochs."""

    target: str
    epochs: tuple[Epoch, ...]

    @property
    def learned(self) -> bool:
        return not self.epochs[-1].errors

    def answers(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the unit answers at the end for `points` (N, D): -1, 0 or 1 each, (N,)."""
        return activation(points, self.epochs[-1].weights, self.epochs[-1].bias)


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
    left, right = target[:2] + "00", "00" + target[2:]
    hidden = [_trained(CORNERS, half, learning_rate, seed + place, max_epochs) for place, half in enumerate((left, right))]
    hidden_answers = np.column_stack([unit.answers(CORNERS) for unit in hidden])
    return hidden[0], hidden[1], _trained(hidden_answers, target, learning_rate, seed + 2, max_epochs)


def _trained(points: NDArray[np.float64], target: str, learning_rate: float, seed: int, max_epochs: int) -> Unit:
    classes = np.array([1.0 if digit == "1" else -1.0 for digit in target])
    return Unit(target, tuple(islice(fit(points, classes, learning_rate, seed), max_epochs + 1)))
