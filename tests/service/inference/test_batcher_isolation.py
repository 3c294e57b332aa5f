"""Requests that fail, leave, hang or expire in the batcher harm no other."""

import asyncio
import time

import numpy as np
import pytest

from service.inference.admission import DeadlineError
from service.inference.batcher import Batcher, Pending, Result
from tests.support.engines import SECONDS, Recorder, images, numbers_of, run


def test_an_error_of_the_engine_fails_its_batch_and_no_other() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(2)
        asked = [(1,), (-1,), (3,)]
        answers = await asyncio.gather(
            *(batcher.submit(recorder, images(*each), SECONDS) for each in asked), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [AssertionError, AssertionError, Result]
        assert numbers_of(await batcher.submit(recorder, images(4), SECONDS)) == [4]

    run(scenario)


def test_a_client_that_left_takes_its_images_out_of_the_queue() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(10)
        first = asyncio.ensure_future(batcher.submit(recorder, images(1, 2), SECONDS))
        await asyncio.wrap_future(recorder.running)
        leaving = asyncio.ensure_future(batcher.submit(recorder, images(3, 4, 5, 6, 7), SECONDS))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        staying = asyncio.ensure_future(batcher.submit(recorder, images(9), SECONDS))
        await asyncio.sleep(0)
        recorder.may_go_on.set()
        assert [numbers_of(each) for each in await asyncio.gather(first, staying)] == [[1, 2], [9]]

    run(scenario)
    assert recorder.batches == [[1, 2], [9]]


def test_what_is_past_its_deadline_is_not_computed() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(10)
        first = asyncio.ensure_future(batcher.submit(recorder, images(1, 2), SECONDS))
        await asyncio.wrap_future(recorder.running)
        with pytest.raises(DeadlineError):
            await batcher.submit(recorder, images(3), 0.01)
        recorder.may_go_on.set()
        await first
        assert numbers_of(await batcher.submit(recorder, images(4), SECONDS)) == [4]

    run(scenario)
    assert recorder.batches == [[1, 2], [4]]


def test_an_engine_that_hangs_does_not_keep_a_request_past_its_deadline() -> None:
    recorder = Recorder(max_inline_images=0)

    async def scenario() -> None:
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            await Batcher(10).submit(recorder, images(1), 0.05)
        assert time.monotonic() - started < 5
        recorder.may_go_on.set()

    run(scenario)


def test_an_error_beside_the_engine_fails_its_batch_and_no_other() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(100)
        of_another_width = np.zeros((1, 5), np.float32)
        bad = [asyncio.create_task(batcher.submit(recorder, each, SECONDS)) for each in (images(1), of_another_width)]
        await asyncio.wait(bad)
        assert all(isinstance(each.exception(), ValueError) for each in bad)
        assert numbers_of(await batcher.submit(recorder, images(2), SECONDS)) == [2]

    run(scenario)


def test_a_client_that_leaves_during_the_computation_does_not_shift_the_rows_of_the_others() -> None:
    recorder = Recorder(max_inline_images=2)

    async def scenario() -> None:
        batcher = Batcher(100)
        asked = [(1,), (2, 3), (4, 5, 6)]
        first, *others = [asyncio.create_task(batcher.submit(recorder, images(*each), SECONDS)) for each in asked]
        await asyncio.wrap_future(recorder.running)
        first.cancel()
        await asyncio.wait([first])
        recorder.may_go_on.set()
        results = await asyncio.gather(*others)
        assert [numbers_of(each) for each in results] == [[2, 3], [4, 5, 6]]
        assert [each.answers.confidence.tolist() for each in results] == [[2, 3], [4, 5, 6]]

    run(scenario)
    assert recorder.batches == [[1, 2, 3, 4, 5, 6]]


def test_what_expires_behind_an_engine_that_hangs_leaves_nothing_in_the_queue() -> None:
    recorder = Recorder(max_inline_images=0)

    async def scenario() -> None:
        batcher = Batcher(10)
        first = asyncio.create_task(batcher.submit(recorder, images(1), SECONDS))
        await asyncio.wrap_future(recorder.running)
        for number in (2, 3):
            with pytest.raises(DeadlineError):
                await batcher.submit(recorder, images(number), 0.01)
        assert not batcher._queue
        recorder.may_go_on.set()
        await first

    run(scenario)


def test_what_has_expired_does_not_bound_the_batch_of_another_model_behind_it() -> None:
    small, large = Recorder("small", max_images_at_once=2), Recorder("large")

    async def scenario() -> None:
        batcher = Batcher(100)
        expired = asyncio.get_running_loop().create_future()
        expired.cancel()
        batcher._queue.append(Pending(small, images(1), False, lambda _: None, False, expired, 0))
        assert numbers_of(await batcher.submit(large, images(2, 3, 4, 5), SECONDS)) == [2, 3, 4, 5]

    run(scenario)
    assert (small.batches, large.batches) == ([], [[2, 3, 4, 5]])
