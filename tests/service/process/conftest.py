"""Heartbeats that a test shares with the workers that it starts."""

import os
from collections.abc import Callable, Iterator

import pytest

from service.process.heartbeat import Heartbeats
from tests.support.beating import Worker


@pytest.fixture
def heartbeats(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heartbeats]:
    """Return the heartbeats of this test's workers."""
    environment: dict[str, str] = {}
    shared = Heartbeats.to_share(environment)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield shared
    os.close(int(*environment.values()))


@pytest.fixture
def start_worker(heartbeats: Heartbeats) -> Iterator[Callable[[int], Worker]]:
    """Return what starts a worker, and end all in the end."""
    workers: list[Worker] = []

    def start(index: int) -> Worker:
        workers.append(Worker(index))
        return workers[-1]

    yield start
    for each in workers:
        each.kill()
        each.communicate()
