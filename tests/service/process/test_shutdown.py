"""What SIGTERM does to a worker, with real signals to this process."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from service.process.shutdown import Shutdown

DRAIN_SECONDS = 0.2


@pytest.fixture
def stops() -> Iterator[list[int]]:
    """Let SIGTERM, which would end this process, append to the list instead, as uvicorn's handler would stop a worker."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    yield received
    signal.signal(signal.SIGTERM, before)


async def terminate_twice(shutdown: Shutdown) -> None:
    shutdown.begin_on_sigterm()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(DRAIN_SECONDS / 4)


def test_sigterm_twice_is_one_drain_and_one_stop_after_it(stops: list[int], caplog: pytest.LogCaptureFixture) -> None:
    shutdown = Shutdown(DRAIN_SECONDS)

    async def scenario() -> None:
        await terminate_twice(shutdown)
        assert shutdown.has_begun
        assert stops == []
        await asyncio.sleep(3 * DRAIN_SECONDS)

    with caplog.at_level("INFO"):
        asyncio.run(scenario())
    assert stops == [signal.SIGTERM]
    assert [record.getMessage() for record in caplog.records if "draining" in record.getMessage()] == ["draining for 0.2 s"]


def test_without_a_drain_sigterm_stops_at_once(stops: list[int]) -> None:
    shutdown = Shutdown(0)
    asyncio.run(terminate_twice(shutdown))
    assert not shutdown.has_begun
    assert stops == [signal.SIGTERM, signal.SIGTERM]
