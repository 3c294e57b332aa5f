"""How many images may wait for the engine, and whose body is parsed next."""

import asyncio
import contextlib
from collections import deque
from typing import Any, Self

from service.observability import metrics
from service.process.throughput import Throughput


class QueueFullError(Exception):
    """More images would wait for the engine than may."""


class DeadlineError(Exception):
    """The request's time was over before its images were computed."""


def expire(waiting: asyncio.Future[Any]) -> None:
    """End what waits for `waiting` with a `DeadlineError`, unless it has ended already."""
    if not waiting.done():
        waiting.set_exception(DeadlineError())


class Admission:
    """Owns the room in the queue: requests take a `slot` of it before their body is parsed.

    While a whole batch waits, bodies wait unparsed, first come first served: parsed images take four times the memory,
    and would be computed no sooner.
    """

    def __init__(self, max_batch_images: int, max_queued_images: int) -> None:
        self._max_batch_images = max_batch_images
        self.max_queued_images = max_queued_images
        self.queued_images = 0
        self._waiting: deque[Slot] = deque()
        self.throughput = Throughput()

    def has_room(self) -> bool:
        """Say whether less than a batch waits, so that what is parsed now is computed soon."""
        return self.queued_images < self._max_batch_images and not self._waiting

    def retry_seconds(self) -> int:
        """Return after how many seconds the images that wait now will have been computed."""
        return self.throughput.retry_seconds(self.queued_images)

    def slot(self) -> "Slot":
        """Return the room of one request, none yet, to be entered with `with`."""
        return Slot(self)

    async def wait(self, slot: "Slot", seconds: float) -> None:
        """Wait until those before `slot` have gone on and there is room."""
        self._waiting.append(slot)
        self.hold(0)  # which admits it at once where there is room
        deadline = slot.turn.get_loop().call_later(seconds, expire, slot.turn)
        try:
            await slot.turn
        except BaseException:
            with contextlib.suppress(ValueError):  # `hold` skipped it already
                self._waiting.remove(slot)
            self.hold(0)
            raise
        finally:
            deadline.cancel()

    def hold(self, images: int) -> None:
        """Add `images`, which may be negative, to those that wait; admit others where that makes room."""
        if not self.queued_images:
            self.throughput.begin()
        self.queued_images += images
        while self._waiting and self.queued_images < self._max_batch_images:
            slot = self._waiting.popleft()
            if not slot.turn.done():  # its client is still there, and its time not over
                slot.turn.set_result(None)
                slot.images = slot.expected_images
                self.queued_images += slot.images
        metrics.IMAGES_QUEUED.set(self.queued_images)


class Slot:
    """The images that one request has in the queue; leaving the block gives back what was not computed."""

    __slots__ = ("_admission", "expected_images", "images", "turn")
    expected_images: int
    turn: asyncio.Future[None]

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.images = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.images:
            self.resize(0)

    async def wait(self, expected_images: int, seconds: float) -> None:
        """Wait for room, behind those who came before, and take it for about so many images.

        Raises:
            DeadlineError: `seconds` have passed.
        """
        self.expected_images = expected_images
        self.turn = asyncio.get_running_loop().create_future()
        await self._admission.wait(self, seconds)

    def resize(self, images: int) -> None:
        """Take room for `images` in all.

        Raises:
            QueueFullError: there is not as much.
        """
        change = images - self.images
        if change > 0 and self._admission.queued_images + change > self._admission.max_queued_images:
            raise QueueFullError
        self.images = images
        self._admission.hold(change)

    def release(self, images: int) -> None:
        """Give back the room of `images` that are being computed."""
        self._admission.throughput.left += images
        self.resize(max(0, self.images - images))  # 0 already where the request's time was over
