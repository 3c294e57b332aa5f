"""Requests that arrive together are computed together: one queue, one batch at a time, first come first served."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from service.inference.admission import expire


class Answers(NamedTuple):
    """What a model answers for N images: digits and their probabilities (N,), all probabilities float32 (N, 10).

    `novelty` (N,) and `accepted` (N,) are None where they were not asked for, or the model has none.
    """

    digits: NDArray[np.intp]
    confidence: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    novelty: NDArray[np.float32] | None = None
    accepted: NDArray[np.bool_] | None = None

    def part(self, rows: slice, with_novelty: bool) -> "Answers":
        """Return the answers for some of the images, with novelty where it is wanted and there."""
        known = self.digits[rows], self.confidence[rows], self.probabilities[rows]
        if not with_novelty or self.novelty is None:
            return Answers(*known)
        return Answers(*known, self.novelty[rows], None if self.accepted is None else self.accepted[rows])


class Model(Protocol):
    """What computes a batch: up to `max_inline_images` on the event loop, up to `max_images_at_once` in one call."""

    @property
    def max_inline_images(self) -> int: ...
    @property
    def max_images_at_once(self) -> int: ...
    def answer(self, images: NDArray[np.float32], with_novelty: bool) -> Answers: ...


@dataclass(slots=True)
class Result:
    """The answers for one request, and how long it waited and was computed."""

    answers: Answers
    queue_seconds: float
    compute_seconds: float


@dataclass(slots=True, eq=False)
class Pending:
    """One request in the queue, or one part of a request that is larger than what is computed in one call."""

    model: Model
    images: NDArray[np.float32]
    with_novelty: bool
    leave_queue: Callable[[int], None]
    is_probe: bool
    result: asyncio.Future[Result]
    arrived: float


def _ignore(num_images: int) -> None:
    pass


class Batcher:
    """Gathers what arrives in one turn of the event loop, or while the engine is busy, into one call of the engine.

    There is no timer: an idle engine starts in the next turn. Each request is computed by the model that it came with,
    and a batch is computed by one model. A request that is larger than one call waits for each of its parts in turn, so
    that others are computed in between. `observe` gets the number of images in each batch, without those of probes. To
    be used from one event loop.
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

    async def submit(
        self,
        model: Model,
        images: NDArray[np.float32],
        seconds: float,
        leave_queue: Callable[[int], None] = _ignore,
        *,
        with_novelty: bool = False,
        is_probe: bool = False,
    ) -> Result:
        """Return what `model` answers for checked `images` (N, 784). Cancelling takes them out of the queue.

        `leave_queue` is told how many of them go from the queue into a batch.

        Raises:
            DeadlineError: `seconds` have passed; what had not begun by then is not computed.
        """
        size, deadline = self._size(model), asyncio.get_running_loop().time() + seconds
        about = model, with_novelty, leave_queue, is_probe, deadline
        if len(images) <= size:
            return await self._submit_part(images, *about)
        starts = range(0, len(images), size)
        return _joined([await self._submit_part(images[start : start + size], *about) for start in starts])

    def _size(self, model: Model) -> int:
        return min(self._max_batch_images, model.max_images_at_once)

    async def _submit_part(
        self,
        images: NDArray[np.float32],
        model: Model,
        with_novelty: bool,
        leave_queue: Callable[[int], None],
        is_probe: bool,
        deadline: float,
    ) -> Result:
        loop = asyncio.get_running_loop()
        pending = Pending(model, images, with_novelty, leave_queue, is_probe, loop.create_future(), time.perf_counter())
        self._queue.append(pending)
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        timer = loop.call_at(deadline, expire, pending.result)
        try:
            return await pending.result
        except BaseException:
            if pending in self._queue:  # else an engine that hangs would let them grow without end
                self._queue.remove(pending)
            raise
        finally:
            timer.cancel()

    async def _work(self) -> None:
        try:
            while batch := self._next_batch():
                await self._compute(batch)
                if self._queue:
                    await asyncio.sleep(0)  # between two batches the event loop answers and reads
        finally:
            self._worker = None

    def _next_batch(self) -> list[Pending]:
        """Take from the queue, in order, what the model of the first computes and fits in one call."""
        batch: list[Pending] = []
        room = 0
        while self._queue:
            first = self._queue[0]
            if not batch:  # also where all before it have expired, which may be of another model
                room = self._size(first.model)
            elif first.model is not batch[0].model or len(first.images) > room:
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
            with_novelty = any(each.with_novelty for each in batch)
            answers = await self._run(batch[0].model, _stacked(batch), with_novelty)
            _distribute(answers, batch, started)
            self.num_answered += len(batch)
            if observed := sum(len(each.images) for each in batch if not each.is_probe):
                self._observe(observed)
        except Exception as error:
            for each in batch:
                if not each.result.done():
                    each.result.set_exception(error)

    async def _run(self, model: Model, images: NDArray[np.float32], with_novelty: bool) -> Answers:
        if len(images) <= model.max_inline_images:
            return model.answer(images, with_novelty)
        self.is_working = True
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, model.answer, images, with_novelty)
        finally:
            self.is_working = False


def _stacked(batch: list[Pending]) -> NDArray[np.float32]:
    return batch[0].images if len(batch) == 1 else np.concatenate([each.images for each in batch])


def _distribute(answers: Answers, batch: list[Pending], started: float) -> None:
    """Give each request its own rows, also where one beside it has left or expired while the engine ran."""
    compute_seconds = time.perf_counter() - started
    stop = 0
    for each in batch:
        rows = slice(stop, stop := stop + len(each.images))
        if not each.result.done():
            own = answers if len(batch) == 1 else answers.part(rows, each.with_novelty)
            each.result.set_result(Result(own, started - each.arrived, compute_seconds))


def _joined(parts: list[Result]) -> Result:
    together: list[Any] = [
        None if column[0] is None else np.concatenate(column) for column in zip(*(part.answers for part in parts), strict=True)
    ]
    return Result(
        Answers(*together),
        queue_seconds=sum(part.queue_seconds for part in parts),
        compute_seconds=sum(part.compute_seconds for part in parts),
    )
