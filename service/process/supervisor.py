"""BentoML's supervisor, with a watchdog, and quicker: it starts a worker that has died again at once."""

import contextlib
import functools
from collections.abc import Generator
from typing import Any

from bentoml._internal.utils import circus
from circus.exc import ConflictError
from tornado import gen

from service.process.watchdog import TICK_SECONDS, Watchdog

# BentoML's own interval. It stays that of a worker that cannot start, which would take a processor otherwise.
_TICKS_PER_CHECK = 10 / TICK_SECONDS


class Supervisor(circus.Arbiter):
    """Starts workers again, and has `watchdog` look at them.

    The watchdog needs no process of its own: while this one is stopped, nobody could start again what another one kills. And
    a child of this one is certain to be the worker, since nobody else reaps it.
    """

    def __init__(self, *arguments: Any, watchdog: Watchdog, check_delay: float, **options: Any) -> None:
        super().__init__(*arguments, check_delay=TICK_SECONDS, **options)
        self._watchdog = watchdog
        self._ticks = 0

    @gen.coroutine
    def manage_watchers(self) -> Generator[Any, Any, None]:
        """Kill what hangs, and start what has died: circus calls this at each tick."""
        self._ticks += 1
        children = {pid for watcher in self.iter_watchers() for pid in watcher.processes}
        if self._watchdog.tick(children) or not self._ticks % _TICKS_PER_CHECK:
            with contextlib.suppress(ConflictError):  # it is just starting or stopping them
                yield super().manage_watchers()


def supervise_with(watchdog: Watchdog) -> None:
    """Let `bentoml serve`, which this process is, supervise its workers with `watchdog`."""
    circus.Arbiter = functools.partial(Supervisor, watchdog=watchdog)  # pyright: ignore[reportAttributeAccessIssue]
