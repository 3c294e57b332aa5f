"""A few threads for bodies that take long to decode, and a queue for them that is full by time, not by number."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from service.process.throughput import Throughput

_THREADS = 4

P = ParamSpec("P")
T = TypeVar("T")


class DecodePool:
    """Runs in threads what would block the event loop. Bounded by time: some bodies take a thousand times as long."""

    def __init__(self, max_wait_seconds: float) -> None:
        self._max_wait_seconds = max_wait_seconds
        self._threads = ThreadPoolExecutor(_THREADS, "decode")
        self._queued_since: dict[object, float] = {}
        self._throughput = Throughput()

    def is_full(self) -> bool:
        """Say whether something has been queued for more than `max_wait_seconds`."""
        # One call into C: threads remove entries from the dictionary meanwhile.
        oldest = min(self._queued_since.values(), default=None)
        return oldest is not None and time.perf_counter() - oldest > self._max_wait_seconds

    def retry_seconds(self) -> int:
        """Return after how many seconds what is queued now will have begun."""
        return self._throughput.retry_seconds(len(self._queued_since))

    async def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Return what `work` returns, or raise what it raises."""
        ticket = object()
        if not self._queued_since:
            self._throughput.begin()
        self._queued_since[ticket] = time.perf_counter()

        def begin() -> T:
            self._queued_since.pop(ticket, None)
            return work(*arguments, **named)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, begin)
        finally:
            self._queued_since.pop(ticket, None)
            self._throughput.left += 1
