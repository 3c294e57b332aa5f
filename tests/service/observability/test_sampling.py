"""What workers say of themselves: what they take of the machine, how late they are, and what their limits are."""

import asyncio
import contextlib
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from service.observability import metrics
from service.observability.sampling import sample
from service.protocols.media_types import BYTES
from tests.support.metrics import Series, scrape, value
from tests.support.raw_http import Connection, post
from tests.support.serving import Server, serving
from tests.support.waiting import starts, until


def lag() -> float:
    (said,) = re.findall(rb"^digit_classifier_event_loop_lag_seconds (.*)", metrics.exposition(), re.MULTILINE)
    return float(said)


def test_the_lag_is_for_how_long_the_event_loop_was_kept_and_the_worst_of_it_stays() -> None:
    async def scenario() -> None:
        sampling = asyncio.create_task(sample())
        await asyncio.sleep(0.15)
        before = lag()
        time.sleep(0.5)  # noqa: ASYNC251 (this is what keeps a loop)
        await asyncio.sleep(0.25)
        assert before < 0.3 < lag()
        await asyncio.sleep(0.25)
        assert lag() > 0.3
        sampling.cancel()

    metrics.start(())
    asyncio.run(scenario())


def saturation(series: Series) -> dict[str, float]:
    names = ("images_queued_limit", "body_bytes_limit", "workers", "worker_starts_total")
    return {name: value(series, name) for name in names}


def test_limits_workers_and_what_they_take_can_be_scraped(server: Server, home: Path) -> None:
    series = scrape(server)
    limits = {"images_queued_limit": 8192, "body_bytes_limit": 32 * 2**20}
    assert saturation(series) == limits | {"workers": 1, "worker_starts_total": 1}
    assert value(series, "worker_memory_bytes") == pytest.approx(1024 * server.memory_kib(), rel=0.1)
    assert time.time() - 3600 < value(series, "worker_start_time_seconds") < time.time()
    system = os.statvfs(home)
    assert value(series, "model_store_free_bytes") == pytest.approx(system.f_bavail * system.f_frsize, rel=0.1)
    assert ("digit_classifier_event_loop_lag_seconds", ()) in series
    before = server.cpu_seconds()
    until(lambda: value(scrape(server), "worker_cpu_seconds_total") >= before)
    assert value(scrape(server), "worker_cpu_seconds_total") <= server.cpu_seconds() + 0.1


@pytest.mark.slow
def test_of_two_workers_what_they_take_is_added_up_and_a_killed_one_leaves_its_processor_time(home: Path) -> None:
    with serving(home, WORKERS="2", MAX_QUEUED_IMAGES="2000", REPLICAS="3") as server:
        until(lambda: starts(server) == 2)
        until(lambda: value(scrape(server), "workers") == 2)
        before = scrape(server)
        assert value(before, "images_queued_limit") == 4000
        assert value(before, "expected_replicas") == 3  # which every worker says, of all
        until(lambda: value(scrape(server), "worker_memory_bytes") == pytest.approx(1024 * server.memory_kib(), rel=0.1))
        os.kill(server.workers()[0], signal.SIGKILL)
        until(lambda: value(scrape(server), "workers") == 1)
        assert value(scrape(server), "worker_cpu_seconds_total") >= value(before, "worker_cpu_seconds_total")
        until(lambda: starts(server) == 3)
        after = scrape(server)
        assert saturation(after) == saturation(before) | {"worker_starts_total": 3}
        started = value(before, "worker_start_time_seconds")
        until(lambda: value(scrape(server), "worker_start_time_seconds") > started)


def test_answers_that_are_not_read_are_pending_until_they_are(reading_home: Path) -> None:
    dense = np.random.default_rng(0).integers(1, 256, (1024, 784), np.uint8).tobytes()
    with serving(reading_home) as server, contextlib.ExitStack() as clients:

        def pending() -> float:
            return value(scrape(server), "answer_bytes_pending")

        assert pending() == 0
        connection = clients.enter_context(Connection(server.address, 30))
        connection.send(post(dense, BYTES, "/predict?explain=true"))
        until(lambda: pending() > 0)
        assert value(scrape(server), "body_bytes_pending", size="large") > pending()
        connection.next_answer()
        until(lambda: pending() == 0)
