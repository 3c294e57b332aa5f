"""Requests at a fixed rate, whether or not earlier ones are answered: what an overload is."""

import asyncio
import collections
import contextlib
import time
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import numpy as np

# As many clients as one process stands for: what is due while all of them wait is not sent, and counted as that.
MAX_CONNECTIONS = 1000
_PATIENCE_SECONDS = 15
BROKEN = 0
"""The status of a request whose connection broke before it was answered."""


@dataclass
class Tally:
    """What became of the requests: by status, the seconds from when each was due to its answer."""

    seconds: dict[int, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    due: int = 0
    unsent: int = 0

    def count(self, status: int) -> int:
        return len(self.seconds.get(status, ()))

    def percentile(self, status: int, percent: float) -> float:
        """Return the seconds that `percent` of the answers with `status` took at most; not a number where there are none."""
        seconds = self.seconds.get(status)
        return float(np.percentile(seconds, percent)) if seconds else float("nan")


def request_of(content_type: str, body: bytes, accept: str = "*/*", path: str = "/predict") -> bytes:
    """Return the bytes of a POST request."""
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: x",
        f"Content-Type: {content_type}",
        f"Accept: {accept}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


class _Client(asyncio.Protocol):
    """One client: connects, sends a request, reads the whole answer, and is free for the next one."""

    def __init__(self, crowd: "_Crowd", due: float) -> None:
        self._crowd = crowd
        self._due: float | None = due
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but does not say so
        self._transport.write(self._crowd.request)

    def ask(self, due: float) -> None:
        self._due, self._received = due, b""
        self._transport.write(self._crowd.request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or self._due is None:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if len(body) < length:
            return
        self._crowd.tally.seconds[int(head[9:12])].append(time.perf_counter() - self._due)
        self._due = None
        if self._transport.get_write_buffer_size():
            self._transport.abort()  # as curl, Go and browsers do: what is refused need not be sent to its end
        elif retry := head.lower().partition(b"retry-after: ")[2].partition(b"\r\n")[0]:
            self._crowd.let_rest(self, int(retry))
        else:
            self._crowd.free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.open -= 1
        with contextlib.suppress(ValueError):
            self._crowd.free.remove(self)
        self._crowd.resting.discard(self)
        if self._due is not None:
            self._crowd.tally.seconds[BROKEN].append(time.perf_counter() - self._due)

    def leave(self) -> None:
        self._due = None
        self._transport.abort()


class _Crowd:
    """All clients of one service, and what they were answered."""

    def __init__(self, url: str, request: bytes) -> None:
        self.tally = Tally()
        self.free: collections.deque[_Client] = collections.deque()
        self.resting: set[_Client] = set()
        self.open = 0
        address = urlsplit(url)
        self._address = (address.hostname or "localhost", address.port or 80)
        self.request = request
        self._connecting: set[asyncio.Task[None]] = set()

    def ask(self, due: float) -> None:
        """Let a client ask, a new one if none is free."""
        self.tally.due += 1
        if self.free:
            self.free.pop().ask(due)
        elif self.open < MAX_CONNECTIONS:
            self.open += 1
            task = asyncio.get_running_loop().create_task(self._come(due))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        else:
            self.tally.unsent += 1

    async def _come(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _Client(self, due), *self._address)
        except OSError:
            self.open -= 1
            self.tally.seconds[BROKEN].append(time.perf_counter() - due)

    def let_rest(self, client: _Client, seconds: float) -> None:
        """Let `client` come again in `seconds`, as it was told."""
        self.resting.add(client)
        asyncio.get_running_loop().call_later(seconds, self._wake, client)

    def _wake(self, client: _Client) -> None:
        if client in self.resting:
            self.resting.remove(client)
            self.free.append(client)

    async def finish(self) -> None:
        """Wait for what is still to be answered, and let all clients go."""
        until = time.perf_counter() + _PATIENCE_SECONDS
        while self.open > len(self.free) + len(self.resting) and time.perf_counter() < until:  # noqa: ASYNC110 - no hurry
            await asyncio.sleep(0.01)
        for client in [*self.free, *self.resting]:
            client.leave()


async def offer(url: str, request: bytes, rate: float, seconds: float) -> Tally:
    """Offer `rate` requests a second for `seconds`, wait for what is still to be answered, and return what came."""
    crowd, started = _Crowd(url, request), time.perf_counter()
    for number in range(int(rate * seconds)):
        due = started + number / rate
        # Where sending is late, answers are read all the same.
        await asyncio.sleep(max(0, due - time.perf_counter()))
        crowd.ask(due)
    await crowd.finish()
    return crowd.tally


async def saturate(url: str, request: bytes, num_clients: int, seconds: float) -> Tally:
    """Let `num_clients` ask for `seconds`, each again as soon as it is answered: what comes is the capacity."""
    crowd, until = _Crowd(url, request), time.perf_counter() + seconds
    for _ in range(num_clients):
        crowd.ask(time.perf_counter())
    while time.perf_counter() < until:
        while crowd.free:
            crowd.ask(time.perf_counter())
        await asyncio.sleep(0)
    await crowd.finish()
    return crowd.tally
