"""A few threads for bodies that take long to read, and a queue before them that says when it has become long."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_THREADS = 4

P = ParamSpec("P")
T = TypeVar("T")


class DecodePool:
    """Runs in threads what would hold up the event loop. Bounded by time: what takes long differs a thousandfold."""

    def __init__(self, max_wait_seconds: float) -> None:
        self._max_wait_seconds = max_wait_seconds
        self._pool = ThreadPoolExecutor(_THREADS, "slow")
        self._waiting: dict[object, float] = {}

    def is_full(self) -> bool:
        """Say whether someone has waited for `max_wait_seconds` and is not begun yet."""
        # One call into C: threads take out of the dictionary meanwhile.
        oldest = min(self._waiting.values(), default=None)
        return oldest is not None and time.perf_counter() - oldest > self._max_wait_seconds

    async def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Return what `work` returns, or raise what it raises."""
        ticket = object()
        self._waiting[ticket] = time.perf_counter()

        def begin() -> T:
            self._waiting.pop(ticket, None)
            return work(*arguments, **named)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, begin)
        finally:
            self._waiting.pop(ticket, None)
