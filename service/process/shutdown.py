"""Stopping without losing a request: after SIGTERM a worker first says that it is not ready, and stops some seconds later."""

import asyncio
import logging
import signal
from collections.abc import Callable
from types import FrameType

logger = logging.getLogger(__name__)


class Shutdown:
    """Whether this worker was told to stop, and waits only for the load balancer to notice."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.has_begun = False

    def begin_on_sigterm(self) -> None:
        """Drain before doing what SIGTERM does now. Call it in the running event loop, after uvicorn has set its handler."""
        stop = signal.getsignal(signal.SIGTERM)
        if self._seconds and callable(stop):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._begin, stop)

    def _begin(self, stop: Callable[[int, FrameType | None], object]) -> None:
        # One SIGTERM to the process group reaches a worker twice: directly and from BentoML.
        if self.has_begun:
            return
        self.has_begun = True
        logger.info("draining for %g s", self._seconds)
        asyncio.get_running_loop().call_later(self._seconds, stop, signal.SIGTERM, None)
