"""Whether the engine still answers, found out with a golden digit while nothing else asks it."""

import asyncio
import logging

from service.inference.batcher import Batcher
from service.inference.model_repository import ModelRepository

logger = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0
# Counted in golden digits and not in seconds, so that a machine that was paused does not look like an engine that hangs.
_FAILURES_UNTIL_DEAD = 6


class EngineHealth:
    """What the probes of an orchestrator are told: a GPU that hangs raises no error, it only never answers."""

    def __init__(self, batcher: Batcher, repository: ModelRepository, timeout_seconds: float) -> None:
        self._batcher = batcher
        self._repository = repository
        self._timeout_seconds = timeout_seconds
        self._num_answered = 0
        self.num_failures = 0

    def is_ready(self) -> bool:
        """Say whether the engine answered when it was asked last."""
        return not self.num_failures

    def is_alive(self) -> bool:
        """Say whether there is hope for the engine; without, only a new process helps."""
        return self.num_failures < _FAILURES_UNTIL_DEAD

    async def watch(self, interval_seconds: float = _INTERVAL_SECONDS) -> None:
        """Ask the engine for a golden digit, every `interval_seconds` in which it answered nothing else, for ever."""
        while True:
            await asyncio.sleep(interval_seconds)
            if self._batcher.num_answered == self._num_answered:
                await self._ask()
            else:
                self._told(is_answered=True)
            self._num_answered = self._batcher.num_answered

    async def _ask(self) -> None:
        model = self._repository.served
        try:
            await self._batcher.submit(model, model.golden_image, self._timeout_seconds, is_probe=True)
        except Exception as error:  # of whatever kind the runtime has; a DeadlineError where it hangs
            self._told(is_answered=False, error=error)
        else:
            self._told(is_answered=True)

    def _told(self, *, is_answered: bool, error: Exception | None = None) -> None:
        if is_answered and self.num_failures:
            logger.info("the engine answers again; this worker is ready")
        elif not is_answered and self.num_failures in (0, _FAILURES_UNTIL_DEAD - 1):
            state = "not ready" if not self.num_failures else "not alive, and should be restarted"
            reason = str(error) or f"no answer within {self._timeout_seconds:g} s"
            logger.error("the engine does not answer a golden digit (%s); this worker is %s", reason, state)
        self.num_failures = 0 if is_answered else self.num_failures + 1
