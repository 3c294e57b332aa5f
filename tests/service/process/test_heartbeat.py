"""What a supervisor reads of its workers."""

import asyncio
import os
from collections.abc import Callable

import pytest

from service.process.heartbeat import Heartbeats
from tests.support.beating import Worker


def test_a_worker_that_starts_has_no_progress_and_one_that_beats_has(
    heartbeats: Heartbeats, start_worker: Callable[[int], Worker]
) -> None:
    assert heartbeats.read() == []
    second, first = start_worker(1), start_worker(0)
    first.has_got(0)
    second.has_got(41)
    assert heartbeats.read() == [(first.pid, 1, 0), (second.pid, 42, 0)]
    again = start_worker(1)
    assert heartbeats.read() == [(first.pid, 1, 0), (again.pid, 0, 0)]


def test_only_the_worker_that_follows_a_killed_one_is_told_so(
    heartbeats: Heartbeats, start_worker: Callable[[int], Worker]
) -> None:
    killed = start_worker(1)
    heartbeats.set_killed(1)
    killed.has_got(7)  # what it wrote at the same moment
    assert heartbeats.read()[1] == (killed.pid, 8, 1)
    assert [start_worker(index).follows_a_killed_one for index in (0, 1, 1)] == [False, True, False]


def test_the_event_loop_beats_by_itself_with_what_the_engine_has_done(
    heartbeats: Heartbeats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.process.heartbeat._INTERVAL_SECONDS", 0.01)
    answered = [3]
    heartbeats.begin(0)

    async def scenario() -> None:
        beating = asyncio.create_task(heartbeats.beat(0, lambda: answered[0]))
        async with asyncio.timeout(10):
            for expected in (4, 6):
                while [each.progress for each in heartbeats.read()] != [expected]:  # noqa: ASYNC110 (nothing announces it)
                    await asyncio.sleep(0.01)
                answered[0] += 2
        beating.cancel()

    asyncio.run(scenario())


def test_without_a_supervisor_a_worker_beats_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGIT_CLASSIFIER_HEARTBEATS_FD", raising=False)
    alone = Heartbeats.shared()
    assert not alone.begin(0)
    assert alone.read() == [(os.getpid(), 0, 0)]
    assert Heartbeats.shared().read() == []
