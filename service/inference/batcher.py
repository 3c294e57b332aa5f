"""Requests that arrive together ride together: one queue, one batch at a time, first come first."""

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.engine import Engine
from service.observability import metrics


class QueueFullError(Exception):
    """More images wait than may; nothing of the request was taken in."""


class DeadlineError(Exception):
    """The request's time was over before its images were computed."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the engine answered: digits (N,), probabilities float32 (N, 10), and the seconds that it took."""

    digits: NDArray[np.intp]
    probabilities: NDArray[np.float32]
    queue_seconds: float
    compute_seconds: float


@dataclass(slots=True, eq=False)
class Pending:
    """One request in the queue, or one part of a request that is larger than a batch may be."""

    engine: Engine
    images: NDArray[np.float32]
    answer: asyncio.Future[Prediction]
    arrived: float


def _expire(waiting: asyncio.Future[Any]) -> None:
    if not waiting.done():
        waiting.set_exception(DeadlineError())


class Batcher:
    """Gathers what arrives in one turn of the event loop, or while the engine is busy, into one call of the engine.

    There is no timer: an idle engine starts in the next turn. Each request is computed by the engine that it came
    with, and a batch is computed by one engine. To be used from one event loop.

    Before the queue is a gate: where a whole batch waits, bodies that are not parsed yet do better to `wait_for_room`,
    and are let in, in order, as batches leave.
    """

    def __init__(self, max_batch_images: int, max_queue_images: int) -> None:
        self._max_batch_images = max_batch_images
        self._max_queue_images = max_queue_images
        self._queue: deque[Pending] = deque()
        self._queued_images = 0
        self._is_working = False
        self._worker: asyncio.Task[None] | None = None
        self._at_the_gate: deque[tuple[int, asyncio.Future[None]]] = deque()
        # Images of those that were let in and go on in the next turn.
        self._coming: dict[asyncio.Future[None], int] = {}
        # One thread, because a LiteRT interpreter is for one thread at a time; started by the first large batch.
        self._thread = ThreadPoolExecutor(1, "engine")

    def will_wait(self) -> bool:
        """Say whether a request would wait for more than the next turn of the event loop."""
        return self._is_working or not self.has_room()

    def has_room(self) -> bool:
        """Say whether less than a batch waits, so that what is parsed now will be computed soon."""
        return self._queued_images < self._max_batch_images and not self._at_the_gate

    async def wait_for_room(self, num_images: int, seconds: float) -> None:
        """Wait, behind those who came before, until there is room for about `num_images` images.

        Raises:
            DeadlineError: `seconds` have passed.
        """
        try:
            await self._stand_at_the_gate(num_images, seconds)
        except BaseException:
            self.admit()
            raise

    async def _stand_at_the_gate(self, num_images: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        gate: asyncio.Future[None] = loop.create_future()
        self._at_the_gate.append((num_images, gate))
        deadline = loop.call_later(seconds, _expire, gate)
        try:
            await gate
        finally:
            deadline.cancel()
            self._coming.pop(gate, None)

    def admit(self) -> None:
        """Let go on, in order, as many as there is room for. To be called where one that had gone on submits nothing."""
        room = self._max_batch_images - self._queued_images - sum(self._coming.values())
        while self._at_the_gate and room > 0:
            num_images, gate = self._at_the_gate.popleft()
            if not gate.done():  # its client is still there, and its time not over
                gate.set_result(None)
                self._coming[gate] = num_images
                room -= num_images

    async def submit(self, engine: Engine, images: NDArray[np.float32], seconds: float) -> Prediction:
        """Return what `engine` computes for checked `images` (N, 784). Cancelling takes them out of the queue.

        Raises:
            QueueFullError: there is no room for the images in the queue.
            DeadlineError: `seconds` have passed; what had not begun by then is not computed.
        """
        if self._queued_images + len(images) > self._max_queue_images:
            raise QueueFullError
        size = self._max_batch_images
        if len(images) <= size:
            return await self._ride(engine, images, seconds)
        parts = [images[start : start + size] for start in range(0, len(images), size)]
        return _joined(await asyncio.gather(*(self._ride(engine, part, seconds) for part in parts)))

    async def _ride(self, engine: Engine, images: NDArray[np.float32], seconds: float) -> Prediction:
        loop = asyncio.get_running_loop()
        each = Pending(engine, images, loop.create_future(), time.perf_counter())
        self._queue.append(each)
        self._queued_images += len(images)
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        deadline = loop.call_later(seconds, _expire, each.answer)
        try:
            return await each.answer
        finally:
            deadline.cancel()
            if each.answer.cancelled() and each in self._queue:
                self._queue.remove(each)
                self._queued_images -= len(images)
                self.admit()

    async def _work(self) -> None:
        try:
            while pending := self._next_batch():
                self.admit()
                await self._compute(pending)
                if self._queue:
                    await asyncio.sleep(0)  # between two batches the event loop answers and reads
        finally:
            self._worker = None
            self.admit()  # who rode last may have left

    async def _compute(self, pending: list[Pending]) -> None:
        started = time.perf_counter()
        try:
            _answer(pending, await self._run(pending[0].engine, _stacked(pending)), started)
        except Exception as fault:
            for each in pending:
                if not each.answer.done():
                    each.answer.set_exception(fault)

    def _next_batch(self) -> list[Pending]:
        """Take from the queue, in order, what the engine of the first computes and fits in one batch."""
        pending: list[Pending] = []
        room = self._max_batch_images
        while self._queue and len(self._queue[0].images) <= room:
            first = self._queue[0]
            if pending and first.engine is not pending[0].engine:
                break
            self._queue.popleft()
            self._queued_images -= len(first.images)
            if not first.answer.done():  # it has not expired
                pending.append(first)
                room -= len(first.images)
        return pending

    async def _run(self, engine: Engine, images: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(images) <= engine.max_inline_images:
            return engine.run(images)
        self._is_working = True
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, engine.run, images)
        finally:
            self._is_working = False


def _stacked(pending: list[Pending]) -> NDArray[np.float32]:
    return pending[0].images if len(pending) == 1 else np.concatenate([each.images for each in pending])


def _answer(pending: list[Pending], probabilities: NDArray[np.float32], started: float) -> None:
    compute_seconds = time.perf_counter() - started
    digits, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    left: list[NDArray[np.intp]] = []
    stop = 0
    for each in pending:
        start, stop = stop, stop + len(each.images)
        if each.answer.done():  # its client left, or its time was over, while the engine ran
            left.append(np.arange(start, stop))
        else:
            answer = Prediction(digits[start:stop], probabilities[start:stop], started - each.arrived, compute_seconds)
            each.answer.set_result(answer)
    metrics.BATCH_SIZE.observe(len(digits))
    if left:
        digits, confidence = (np.delete(each, np.concatenate(left)) for each in (digits, confidence))
    metrics.count_answers(digits, confidence)


def _joined(parts: list[Prediction]) -> Prediction:
    return Prediction(
        np.concatenate([part.digits for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        queue_seconds=max(part.queue_seconds for part in parts),
        compute_seconds=sum(part.compute_seconds for part in parts),
    )
