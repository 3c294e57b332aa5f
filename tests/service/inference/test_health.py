"""What the probes are told of an engine that hangs, and when: by golden digits, only while nothing else asks it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np
import pytest

from models.digits import MODEL_NAME
from service.inference.batcher import Batcher
from service.inference.health import EngineHealth
from service.inference.model_repository import ModelRepository
from tests.support.engines import SECONDS, Recorder, images, run


class Repository(ModelRepository):
    """Serves the published version on an engine of the test's."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(f"{MODEL_NAME}:latest", "cpu")
        self._served = replace(
            self.load(), engine=recorder.engine, max_inline_images=recorder.max_inline_images, golden_image=images(5)
        )


@pytest.fixture
def recorder(published_store: object) -> Recorder:
    return Recorder(max_inline_images=0)


def watched(recorder: Recorder, scenario: Callable[[Batcher, EngineHealth], Awaitable[None]]) -> None:
    async def with_watch() -> None:
        batcher = Batcher(10)
        health = EngineHealth(batcher, Repository(recorder), timeout_seconds=0.02)
        watch = asyncio.create_task(health.watch(interval_seconds=0.01))
        try:
            await scenario(batcher, health)
        finally:
            watch.cancel()
            recorder.may_go_on.set()

    run(with_watch)


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 (nothing announces it)
        await asyncio.sleep(0.005)


def test_an_engine_that_hangs_is_not_ready_later_not_alive_and_both_again_once_it_answers(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(batcher: Batcher, health: EngineHealth) -> None:
        assert health.is_ready()
        assert health.is_alive()
        await until(lambda: not health.is_ready())
        assert health.is_alive()
        await until(lambda: not health.is_alive())
        recorder.may_go_on.set()
        await until(health.is_ready)
        assert health.is_alive()

    with caplog.at_level("INFO"):
        watched(recorder, scenario)
    assert [line.partition(";")[2].strip() for line in caplog.messages if "engine" in line] == [
        "this worker is not ready",
        "this worker is not alive, and should be restarted",
        "this worker is ready",
    ]


def test_an_engine_that_only_fails_is_not_ready(recorder: Recorder) -> None:
    recorder.may_go_on.set()

    async def scenario(batcher: Batcher, health: EngineHealth) -> None:
        health._repository._served = replace(health._repository.served, golden_image=-np.ones((1, 784), np.float32))
        await until(lambda: not health.is_ready())

    watched(recorder, scenario)


def test_while_requests_are_answered_no_golden_digit_is_computed(recorder: Recorder) -> None:
    recorder.may_go_on.set()

    async def scenario(batcher: Batcher, health: EngineHealth) -> None:
        await until(lambda: [5] in recorder.batches)  # nobody asks, so the golden digit does
        health.num_failures = 1
        recorder.batches.clear()

        async def ask_always() -> None:
            while True:
                await batcher.submit(recorder, images(1), SECONDS)

        asking = asyncio.create_task(ask_always())
        await until(health.is_ready)  # a request that was answered is proof enough
        seen = len(recorder.batches)
        await until(lambda: len(recorder.batches) > seen + 200)
        asking.cancel()
        assert recorder.batches.count([5]) <= 1  # the one that may have been under way

    watched(recorder, scenario)
