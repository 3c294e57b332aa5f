"""Request bodies: each read whole and in time, all of them together within a budget of bytes."""

import asyncio
from dataclasses import dataclass, field
from typing import Literal, Self

from starlette.types import Message, Receive

from service.errors import CLIENT_LEFT, ApiError, too_many_requests
from service.observability import metrics
from service.process.throughput import Throughput

# What arrives in one piece or two. Small bodies have a budget of their own, so that large ones cannot shut them out.
_SMALL_BYTES = 2**16
# For so long a large body counts as what was announced, so that no more begin than fit; then, like small ones always,
# as what has been received, so that clients who announce much and send little cannot shut others out.
_TRUSTED_SECONDS = 1


@dataclass(slots=True)
class ByteBudget:
    """How many bytes may be pending together, how many are, and how many of those are answers that clients have not read.

    `size` says which bodies it is for: answers count with the large ones.
    """

    limit: int
    size: Literal["small", "large"] = "large"
    reserved: int = 0
    unsent: int = 0
    throughput: Throughput = field(default_factory=Throughput)

    def add(self, num_bytes: int) -> None:
        if num_bytes < 0:
            self.throughput.left -= num_bytes
        elif not self.reserved:
            self.throughput.begin()
        self.reserved += num_bytes
        metrics.BODY_BYTES_PENDING.add(num_bytes, self.size)

    def add_unsent(self, num_bytes: int) -> None:
        """Add bytes of answers: they count in what is pending, too."""
        self.unsent += num_bytes
        metrics.ANSWER_BYTES_PENDING.add(num_bytes)
        self.add(num_bytes)


@dataclass(slots=True, eq=False)
class BodyReservation:
    """What one request takes of a budget, from its headers until its answer is sent. A context manager: it ends there."""

    budget: ByteBudget
    reserved: int
    received: int = 0
    _timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        if self.reserved:
            self.budget.add(self.reserved)
            self._timer = asyncio.get_running_loop().call_later(_TRUSTED_SECONDS, self._reserve_what_was_received)
        return self

    def __exit__(self, *_: object) -> None:
        self.resize(0)

    def add(self, size: int) -> None:
        self.received += size
        if self.received > self.reserved:
            self._reserve_what_was_received()

    def resize(self, size: int) -> None:
        """Take `size` bytes from here on: once its body is read, a request holds what was made of it."""
        self.budget.add(size - self.reserved)
        self.reserved = size
        if self._timer:
            self._timer.cancel()

    def _reserve_what_was_received(self) -> None:
        self.resize(self.received)


class BodyReader:
    """Reads bodies of up to `max_body_bytes` within `budget`, and small ones within as much again."""

    def __init__(self, max_body_bytes: int, budget: ByteBudget, seconds: float) -> None:
        self._max_body_bytes = max_body_bytes
        self._seconds = seconds
        self._small, self._large = ByteBudget(budget.limit, "small"), budget

    @property
    def pending_bytes(self) -> int:
        return self._small.reserved + self._large.reserved

    def reserve(self, announced: int | None) -> BodyReservation:
        """Return a reservation for a body of `announced` bytes (None: in chunks), to be held until its answer is sent.

        Raises:
            ApiError: 413 or 429.
        """
        size = announced or 0
        self._check_size(size)
        budget = self._large if announced is None or size > _SMALL_BYTES else self._small
        if budget.reserved + size > budget.limit:
            raise _full(budget)
        return BodyReservation(budget, size if budget is self._large else 0)

    async def read(self, receive: Receive, reservation: BodyReservation) -> bytes:
        """Return the body.

        Raises:
            ApiError: 408, 413, 429, or 499 if the client leaves meanwhile.
        """
        chunks: list[bytes] = []
        first = _received_already(receive)
        if first is None or self._add(first, chunks, reservation):
            try:
                async with asyncio.timeout(self._seconds):
                    while self._add(await receive(), chunks, reservation):
                        pass
            except TimeoutError:
                sentence = f"the body was not complete after {self._seconds:g} s; send it faster or in smaller requests."
                raise ApiError(408, "slow_body", sentence, {"Connection": "close"}) from None
        return b"".join(chunks)

    def _add(self, message: Message, chunks: list[bytes], reservation: BodyReservation) -> bool:
        """Add what `message` has of the body to `chunks`, and say whether there is more to come."""
        if message["type"] == "http.disconnect":
            raise ApiError(CLIENT_LEFT, "client_left", "the client left before its body was complete.")
        chunks.append(message.get("body", b""))
        reservation.add(len(chunks[-1]))
        self._check_size(reservation.received)
        is_more = message.get("more_body", False)
        budget = reservation.budget
        if is_more and budget.reserved > budget.limit:
            raise _full(budget)
        return is_more

    def _check_size(self, size: int) -> None:
        limit = self._max_body_bytes
        if size > limit:
            sentence = f"the body has {size:,} bytes or more; send at most {limit:,}, in several requests."
            raise ApiError(413, "too_many_bytes", sentence)


def _received_already(receive: Receive) -> Message | None:
    """Return the message that is there, or None if one has to wait. Most bodies are there, and a timer would take 3.5 µs."""
    receiving = receive().__await__()
    try:
        receiving.send(None)
    except StopIteration as returned:
        return returned.value
    receiving.close()
    return None


def _full(budget: ByteBudget) -> ApiError:
    return too_many_requests(f"{budget.limit:,} bytes are pending", budget.throughput.retry_seconds(budget.reserved))
