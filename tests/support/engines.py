"""An engine that records the batches it is given, and answers each image with its number."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from models.engine import Engine
from models.exported import Outputs
from service.inference.batcher import Answers

# Many mutants hang, and nobody waits for them as long.
SECONDS = 10 if "MUTANTS_HOME" in os.environ else 30


class Answered(Protocol):
    """What the batcher or the predictor answered."""

    @property
    def answers(self) -> Answers: ...


def images(*numbers: int) -> np.ndarray:
    """Return images that are told apart by their first pixel."""
    array = np.zeros((len(numbers), 784), np.float32)
    array[:, 0] = numbers
    return array


@dataclass
class Recorder:
    """An engine whose answer to an image is its number; off the event loop it waits until the test lets it go on."""

    name: str = "a"
    max_inline_images: int = 10_000
    max_images_at_once: int = 10_000
    batches: list[list[int]] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    thread_names: list[str] = field(default_factory=list)
    with_novelty: list[bool] = field(default_factory=list)
    running: Future[None] = field(default_factory=Future)
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.engine = Engine("litert", "cpu", self.run, self.max_inline_images)

    def run(self, batch: np.ndarray, with_novelty: bool) -> Outputs:
        self.batches.append(batch[:, 0].astype(int).tolist())
        self.threads.append(threading.get_ident())
        self.thread_names.append(threading.current_thread().name)
        self.with_novelty.append(with_novelty)
        if len(batch) > self.max_inline_images:
            if not self.running.done():
                self.running.set_result(None)
            assert self.may_go_on.wait(SECONDS)
        assert -1 not in self.batches[-1], "this image breaks the engine"
        probabilities = np.zeros((len(batch), 10), np.float32)
        probabilities[:, 3] = batch[:, 0]
        return Outputs(probabilities, batch[:, 0].copy() if with_novelty else None)

    def answer(self, images: np.ndarray, with_novelty: bool) -> Answers:
        probabilities, novelty = self.run(images, with_novelty)
        return Answers(probabilities.argmax(axis=1), probabilities.max(axis=1), probabilities, novelty)


def numbers_of(answered: Answered) -> list[int]:
    return answered.answers.probabilities[:, 3].astype(int).tolist()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def with_a_limit() -> None:
        async with asyncio.timeout(SECONDS):
            await scenario()

    asyncio.run(with_a_limit())
