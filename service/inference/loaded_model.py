"""A version that answers: its engine, how fast that is, and when it stands by an answer."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.card import ModelCard
from models.digits import MAX_PIXEL
from models.engine import Engine
from models.novelty import Knots, accepted, novelty_share
from service.inference.batcher import Answers
from service.inference.explanation import LinearExplainer

# A batch of so many seconds is computed on the event loop: the way to another thread and back costs 0.1 ms of CPU time.
_MAX_INLINE_SECONDS = 0.0005
# And for so long others wait for a call of the engine: larger requests are computed in several.
_MAX_SECONDS_AT_ONCE = 0.004
_TIMED_RUNS = 5
_LARGE_CALL = 1024


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A proved version: its card, the engine that computes it, and what gives evidence, where its card says that it can.

    `golden_image` (1, 784) is one that it has answered as published. `max_inline_images` are computed on the event loop,
    `max_images_at_once` in one call. `knots` make shares of novelty scores. The card's thresholds are those in force.
    """

    folder: Path
    card: ModelCard
    engine: Engine
    linear: LinearExplainer | None
    golden_image: NDArray[np.float32]
    max_inline_images: int
    max_images_at_once: int
    knots: Knots | None

    @property
    def tag(self) -> str:
        return self.card.tag

    def answer(self, images: NDArray[np.float32], with_novelty: bool) -> Answers:
        """Answer checked `images` (N, 784), with novelty where it is asked for and the version has it."""
        probabilities, scores = self.engine.run(images, with_novelty)
        digits, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        thresholds = self.card.thresholds
        if scores is None or self.knots is None or thresholds is None:
            return Answers(digits, confidence, probabilities)
        novelty = novelty_share(scores, self.knots)
        return Answers(digits, confidence, probabilities, novelty, accepted(confidence, novelty, thresholds))

    def seen(self, images: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the pixels (N, 784) that the model gets of `images` (N, 784): deskewed where it deskews them, and rounded."""
        return rounded(self.linear.prepared(images) if self.linear else images)


def rounded(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return `images` as unsigned bytes of the same shape, each pixel the nearest."""
    return np.rint(images).clip(0, MAX_PIXEL).astype(np.uint8)


def images_within_limits(engine: Engine, images: NDArray[np.float32]) -> tuple[int, int]:
    """Return how many images `engine` computes quickly enough for the event loop, and for one call: timed on `images`."""
    if not engine.max_inline_images:  # on a GPU a call costs much more than an image, so a large one is timed
        images = np.tile(images, (-(-_LARGE_CALL // len(images)), 1))
    seconds_each = min(_seconds_of(engine, images) for _ in range(_TIMED_RUNS)) / len(images)
    inline, at_once = (max(1, int(seconds / seconds_each)) for seconds in (_MAX_INLINE_SECONDS, _MAX_SECONDS_AT_ONCE))
    return min(inline, engine.max_inline_images), at_once


def _seconds_of(engine: Engine, images: NDArray[np.float32]) -> float:
    started = time.perf_counter()
    engine.run(images, True)
    return time.perf_counter() - started
