"""Which processes a watchdog kills, and when: real ones."""

import signal
from collections.abc import Callable

import pytest

from service.process.heartbeat import Heartbeats
from service.process.watchdog import TICK_SECONDS, Watchdog
from tests.support.beating import Worker

StartWorker = Callable[[int], Worker]
TICKS = 4


@pytest.fixture
def watchdog(heartbeats: Heartbeats) -> Watchdog:
    return Watchdog(heartbeats, TICKS * TICK_SECONDS)


def test_a_worker_without_progress_is_killed_once_and_one_with_progress_is_not(
    watchdog: Watchdog, start_worker: StartWorker, heartbeats: Heartbeats, caplog: pytest.LogCaptureFixture
) -> None:
    working, hung = start_worker(0), start_worker(1)
    hung.has_got(5)
    for progress in range(2 * TICKS):
        working.has_got(progress)
        watchdog.tick({working.pid, hung.pid})
        assert (heartbeats.read()[1].was_killed == 1) == (progress >= TICKS)
    assert hung.wait(10) == -signal.SIGKILL
    assert working.poll() is None
    assert not heartbeats.read()[0].was_killed
    assert caplog.messages == [f"worker {hung.pid} has not answered for 2 s; killed, BentoML starts it again"]


def test_progress_in_the_last_moment_is_progress(watchdog: Watchdog, start_worker: StartWorker) -> None:
    worker = start_worker(0)
    for progress in range(3):
        worker.has_got(progress)
        for _ in range(TICKS):
            watchdog.tick({worker.pid})
    assert worker.poll() is None


def test_a_worker_that_starts_is_not_killed_however_long_it_takes(watchdog: Watchdog, start_worker: StartWorker) -> None:
    before, starting = start_worker(0), start_worker(0)
    for _ in range(10 * TICKS):
        watchdog.tick({before.pid, starting.pid})
    assert (before.poll(), starting.poll()) == (None, None)


def test_no_process_is_killed_that_is_no_worker_of_this_supervisor(watchdog: Watchdog, start_worker: StartWorker) -> None:
    other = start_worker(0)
    other.has_got(1)
    for children in (set(), {other.pid + 1}):
        for _ in range(2 * TICKS):
            watchdog.tick(children)
    assert other.poll() is None


def test_with_0_seconds_nothing_is_killed(heartbeats: Heartbeats, start_worker: StartWorker) -> None:
    worker, watchdog = start_worker(0), Watchdog(heartbeats, 0)
    worker.has_got(1)
    for _ in range(10 * TICKS):
        watchdog.tick({worker.pid})
    assert worker.poll() is None


def test_the_end_of_a_worker_is_reported_if_it_had_been_working(watchdog: Watchdog, start_worker: StartWorker) -> None:
    working, starting = start_worker(0), start_worker(1)
    children = {working.pid, starting.pid}
    working.has_got(1)
    assert not watchdog.tick(children)
    starting.terminate()
    starting.wait(10)
    assert not watchdog.tick(children)  # one that cannot start would take a processor if it were started again at once
    working.terminate()
    while not watchdog.tick(children):
        assert working.returncode is None
    assert working.wait(10) == -signal.SIGTERM  # nobody has reaped it before
    assert watchdog.tick(children)
