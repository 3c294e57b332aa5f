"""The supervisor of a running service: it kills a worker that is stopped, and needs no process besides."""

import os
import signal
from pathlib import Path

import psutil

from tests.support.metrics import scrape, value
from tests.support.serving import serving
from tests.support.waiting import starts, until


def test_a_stopped_worker_is_killed_counted_and_started_again_and_nothing_else_runs(home: Path) -> None:
    with serving(home, WATCHDOG_SECONDS="5") as server:
        (first,) = server.workers()
        assert [child.pid for child in psutil.Process(server.process.pid).children(recursive=True)] == [first]
        os.kill(first, signal.SIGSTOP)
        until(lambda: starts(server) == 2)
        assert f"worker {first} has not answered for 5 s; killed, BentoML starts it again" in server.log.read_text()
        assert value(scrape(server), "workers_killed_total") == 1
        (second,) = server.workers()
        os.kill(second, signal.SIGKILL)  # which is no kill of the watchdog's
        until(lambda: starts(server) == 3)
        assert value(scrape(server), "workers_killed_total") == 1
        (third,) = server.workers()
    assert not any(psutil.pid_exists(worker) for worker in (first, second, third))
