"""Kills a worker that hangs, from the process that supervises it: a worker that is stopped cannot do it itself."""

import logging
import os
import signal
from collections.abc import Collection

from service.process.heartbeat import Heartbeats

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.5


class Watchdog:
    """Kills workers without progress for `seconds`; none if that is 0.

    They are counted in ticks, so that a machine that was paused does not look like workers that hang.
    """

    def __init__(self, heartbeats: Heartbeats, seconds: float) -> None:
        self._heartbeats = heartbeats
        self._seconds = seconds
        self._seen: dict[int, tuple[int, int]] = {}  # by process id: its progress, and the ticks since that has changed

    def tick(self, children: Collection[int]) -> bool:
        """Kill those of `children` that hang, and return whether one has ended that had been working.

        The process ids must be those of children that nobody has reaped: until then the system gives them to no other process.
        """
        started = [
            (worker, each) for worker, each in enumerate(self._heartbeats.read()) if each.progress and each.pid in children
        ]
        before, self._seen = self._seen, {}
        for worker, heartbeat in started:
            progress, ticks = before.get(heartbeat.pid, (0, 0))
            ticks = ticks + 1 if progress == heartbeat.progress else 0
            self._seen[heartbeat.pid] = heartbeat.progress, ticks
            # Once: what the system cannot end, since it waits for a device, is not killed by a second signal either.
            if self._seconds and ticks == -(-self._seconds // TICK_SECONDS):
                self._kill(worker, heartbeat.pid)
        return any(_has_ended(heartbeat.pid) for _, heartbeat in started)

    def _kill(self, worker: int, pid: int) -> None:
        self._heartbeats.set_killed(worker)
        os.kill(pid, signal.SIGKILL)
        logger.error("worker %d has not answered for %g s; killed, BentoML starts it again", pid, self._seconds)


def _has_ended(child: int) -> bool:
    try:
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None  # not reaped
    except ChildProcessError:  # reaped by somebody else
        return True
