"""How many wait for the engine, and who is next when there is room again."""

import asyncio

import pytest

from service.inference.batcher import Batcher, DeadlineError, Prediction, QueueFullError
from tests.support.recorder import SECONDS, Recorder, images, numbers_of, run


async def predict(batcher: Batcher, recorder: Recorder, number: int, seconds: float = SECONDS) -> Prediction:
    """Ask for one image as an endpoint does: wait for room, and only then make an array of the body."""
    if not batcher.has_room():
        await batcher.wait_for_room(1, seconds)
    return await batcher.submit(recorder.engine, images(number), SECONDS)


async def fill(batcher: Batcher, recorder: Recorder) -> list[asyncio.Task[Prediction]]:
    """Let the engine work and a whole batch, of two images, wait behind that."""
    tasks = [asyncio.create_task(predict(batcher, recorder, 1)), asyncio.create_task(predict(batcher, recorder, 2))]
    await asyncio.wrap_future(recorder.running)
    tasks += [asyncio.create_task(predict(batcher, recorder, number)) for number in (3, 4)]
    await asyncio.sleep(0)
    assert not batcher.has_room()
    return tasks


def test_while_a_whole_batch_waits_the_next_bodies_wait_unparsed_and_are_admitted_in_order() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(2, 4)  # with all ten in the queue it would be full
        tasks = [*await fill(batcher, recorder), *(asyncio.create_task(predict(batcher, recorder, n)) for n in range(5, 11))]
        await asyncio.sleep(0.01)
        recorder.may_go_on.set()
        assert [numbers_of(each) for each in await asyncio.gather(*tasks)] == [[n] for n in range(1, 11)]
        assert batcher.has_room()

    run(scenario)
    assert recorder.batches == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]


def test_a_request_that_was_admitted_and_submits_nothing_makes_room_for_the_next() -> None:
    recorder = Recorder(max_inline_images=1)

    async def admit_a_bad_body(batcher: Batcher) -> None:
        await batcher.wait_for_room(2, SECONDS)
        batcher.admit()

    async def scenario() -> None:
        batcher = Batcher(2, 4)
        tasks = await fill(batcher, recorder)
        bad = [asyncio.create_task(admit_a_bad_body(batcher)) for _ in range(20)]
        await asyncio.sleep(0)
        good = asyncio.create_task(predict(batcher, recorder, 9))
        await asyncio.sleep(0.01)
        recorder.may_go_on.set()
        await asyncio.gather(*tasks, *bad)
        assert numbers_of(await good) == [9]

    run(scenario)


def test_a_request_that_waits_past_its_deadline_or_is_cancelled_does_not_hold_up_the_next() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(2, 4)
        tasks = await fill(batcher, recorder)
        late, leaving = (
            asyncio.create_task(predict(batcher, recorder, 5, 0.01)),
            asyncio.create_task(predict(batcher, recorder, 6)),
        )
        await asyncio.sleep(0)
        good = asyncio.create_task(predict(batcher, recorder, 7))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(DeadlineError):
            await late
        recorder.may_go_on.set()
        assert numbers_of(await good) == [7]
        await asyncio.gather(*tasks)

    run(scenario)
    assert recorder.batches == [[1, 2], [3, 4], [7]]


def test_requests_are_admitted_again_when_all_that_waited_behind_a_batch_are_cancelled() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(2, 4)
        first, second, *queued = await fill(batcher, recorder)
        waiting = asyncio.create_task(predict(batcher, recorder, 5))
        await asyncio.sleep(0.01)
        for each in queued:
            each.cancel()
        await asyncio.sleep(0.01)
        recorder.may_go_on.set()
        assert numbers_of(await waiting) == [5]
        await asyncio.gather(first, second)
        assert batcher.has_room()

    run(scenario)


def test_requests_are_admitted_again_when_all_that_waited_behind_a_batch_are_too_late() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(2, 4)
        tasks = [asyncio.create_task(predict(batcher, recorder, number)) for number in (1, 2)]
        await asyncio.wrap_future(recorder.running)
        late = [asyncio.create_task(batcher.submit(recorder.engine, images(number), 0.01)) for number in (3, 4)]
        await asyncio.sleep(0)
        waiting = asyncio.create_task(predict(batcher, recorder, 5))
        await asyncio.wait(late)
        recorder.may_go_on.set()
        assert numbers_of(await waiting) == [5]
        await asyncio.gather(*tasks)

    run(scenario)


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_queue_is_bounded_in_images(beyond: int) -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(10, 20)
        waiting = asyncio.ensure_future(batcher.submit(recorder.engine, images(*range(9)), SECONDS))
        await asyncio.sleep(0)
        last = batcher.submit(recorder.engine, images(*range(11 + beyond)), SECONDS)
        if beyond:
            with pytest.raises(QueueFullError):
                await last
        else:
            assert len((await last).digits) == 11
        await waiting

    run(scenario)
