"""Requests that arrive together are computed together: one queue, one batch at a time, first come first served."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.engine import Engine
from service.inference.admission import expire


@dataclass(slots=True)
class Result:
    """What the engine answered for N images: digits and their probabilities (N,), all probabilities float32 (N, 10)."""

    digits: NDArray[np.intp]
    confidence: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    queue_seconds: float
    compute_seconds: float


@dataclass(slots=True, eq=False)
class Pending:
    """One request in the queue, or one part of a request that is larger than a batch may be."""

    engine: Engine
    images: NDArray[np.float32]
    leave_queue: Callable[[int], None]
    is_probe: bool
    result: asyncio.Future[Result]
    arrived: float


def _ignore(num_images: int) -> None:
    pass


class Batcher:
    """Gathers what arrives in one turn of the event loop, or while the engine is busy, into one call of the engine.

    There is no timer: an idle engine starts in the next turn. Each request is computed by the engine that it came
    with, and a batch is computed by one engine. `observe` gets the number of images in each batch, without those of
    probes. To be used from one event loop.
    """

    def __init__(self, max_batch_images: int, observe: Callable[[int], None] = _ignore) -> None:
        self._max_batch_images = max_batch_images
        self._observe = observe
        self._queue: deque[Pending] = deque()
        self._worker: asyncio.Task[None] | None = None
        self.is_working = False
        self.num_answered = 0
        # One thread, because a LiteRT interpreter is for one thread at a time; started by the first large batch.
        self._thread = ThreadPoolExecutor(1, "engine")

    def submit(
        self,
        engine: Engine,
        images: NDArray[np.float32],
        seconds: float,
        leave_queue: Callable[[int], None] = _ignore,
        *,
        is_probe: bool = False,
    ) -> Coroutine[Any, Any, Result]:
        """Return what `engine` computes for checked `images` (N, 784). Cancelling takes them out of the queue.

        `leave_queue` is told how many of them go from the queue into a batch.

        Raises:
            DeadlineError: `seconds` have passed; what had not begun by then is not computed.
        """
        size = self._max_batch_images
        submit = partial(self._submit_part, engine, seconds, leave_queue, is_probe)
        if len(images) <= size:
            return submit(images)
        return _joined([submit(images[start : start + size]) for start in range(0, len(images), size)])

    async def _submit_part(
        self, engine: Engine, seconds: float, leave_queue: Callable[[int], None], is_probe: bool, images: NDArray[np.float32]
    ) -> Result:
        loop = asyncio.get_running_loop()
        pending = Pending(engine, images, leave_queue, is_probe, loop.create_future(), time.perf_counter())
        self._queue.append(pending)
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        deadline = loop.call_later(seconds, expire, pending.result)
        try:
            return await pending.result
        except BaseException:
            if pending in self._queue:  # else an engine that hangs would let them grow without end
                self._queue.remove(pending)
            raise
        finally:
            deadline.cancel()

    async def _work(self) -> None:
        try:
            while batch := self._next_batch():
                await self._compute(batch)
                if self._queue:
                    await asyncio.sleep(0)  # between two batches the event loop answers and reads
        finally:
            self._worker = None

    def _next_batch(self) -> list[Pending]:
        """Take from the queue, in order, what the engine of the first computes and fits in one batch."""
        batch: list[Pending] = []
        room = self._max_batch_images
        while self._queue and len(self._queue[0].images) <= room:
            first = self._queue[0]
            if batch and first.engine is not batch[0].engine:
                break
            self._queue.popleft()
            first.leave_queue(len(first.images))
            if not first.result.done():  # it has not expired
                batch.append(first)
                room -= len(first.images)
        return batch

    async def _compute(self, batch: list[Pending]) -> None:
        started = time.perf_counter()
        try:
            probabilities = await self._run(batch[0].engine, _stacked(batch))
            _distribute(probabilities, batch, started)
            self.num_answered += len(batch)
            if observed := sum(len(each.images) for each in batch if not each.is_probe):
                self._observe(observed)
        except Exception as error:
            for each in batch:
                if not each.result.done():
                    each.result.set_exception(error)

    async def _run(self, engine: Engine, images: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(images) <= engine.max_inline_images:
            return engine.run(images, False).probabilities
        self.is_working = True
        try:
            run = asyncio.get_running_loop().run_in_executor(self._thread, engine.run, images, False)
            return (await run).probabilities
        finally:
            self.is_working = False


def _stacked(batch: list[Pending]) -> NDArray[np.float32]:
    return batch[0].images if len(batch) == 1 else np.concatenate([each.images for each in batch])


def _distribute(probabilities: NDArray[np.float32], batch: list[Pending], started: float) -> None:
    """Give each request its own rows, also where one beside it has left or expired while the engine ran."""
    compute_seconds = time.perf_counter() - started
    digits, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    stop = 0
    for each in batch:
        rows = slice(stop, stop := stop + len(each.images))
        if not each.result.done():
            queue_seconds = started - each.arrived
            each.result.set_result(Result(digits[rows], confidence[rows], probabilities[rows], queue_seconds, compute_seconds))


async def _joined(submitted: list[Coroutine[Any, Any, Result]]) -> Result:
    parts = await asyncio.gather(*submitted)
    return Result(
        np.concatenate([part.digits for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        queue_seconds=max(part.queue_seconds for part in parts),
        compute_seconds=sum(part.compute_seconds for part in parts),
    )
