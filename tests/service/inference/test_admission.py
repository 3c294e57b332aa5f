"""Who waits before the queue, who goes next, and that nobody's room is lost."""

import asyncio
import re

import pytest

from service.inference.admission import Admission, DeadlineError
from service.inference.batcher import Batcher, Result
from service.observability import metrics
from tests.support.engines import SECONDS, Recorder, images, numbers_of, run


class Queue:
    """A batcher behind an admission, as the predictor puts them together."""

    def __init__(self, max_batch_images: int, max_queued_images: int) -> None:
        self.recorder = Recorder(max_inline_images=1)
        self.admission = Admission(max_batch_images, max_queued_images)
        self.batcher = Batcher(max_batch_images)

    async def submit(self, *numbers: int, seconds: float = SECONDS) -> Result:
        with self.admission.slot() as slot:
            if not self.admission.has_room():
                await slot.wait(len(numbers), seconds)
            slot.resize(len(numbers))
            return await self.batcher.submit(self.recorder, images(*numbers), seconds, slot.release)

    async def submit_a_bad_body(self, expected_images: int) -> None:
        with self.admission.slot() as slot:
            await slot.wait(expected_images, SECONDS)
            raise ValueError("it is no image")

    async def fill(self) -> list[asyncio.Task[Result]]:
        """Let the engine work and a whole batch, of two images, wait behind that."""
        tasks = [asyncio.create_task(self.submit(1)), asyncio.create_task(self.submit(2))]
        await asyncio.wrap_future(self.recorder.running)
        tasks += [asyncio.create_task(self.submit(number)) for number in (3, 4)]
        await asyncio.sleep(0)
        assert not self.admission.has_room()
        return tasks

    def is_empty(self) -> bool:
        return self.admission.has_room() and self.admission.queued_images == 0


def test_while_a_whole_batch_waits_the_next_bodies_wait_unparsed_and_go_on_in_order() -> None:
    queue = Queue(2, 4)  # with all ten in the queue it would be full

    async def scenario() -> None:
        tasks = [*await queue.fill(), *(asyncio.create_task(queue.submit(number)) for number in range(5, 11))]
        await asyncio.sleep(0.01)
        queue.recorder.may_go_on.set()
        assert [numbers_of(each) for each in await asyncio.gather(*tasks)] == [[number] for number in range(1, 11)]
        assert queue.is_empty()

    run(scenario)
    assert queue.recorder.batches == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]


def test_the_gauge_says_how_many_images_wait() -> None:
    metrics.start(())
    queue = Queue(2, 4)

    def waiting() -> str:
        return re.findall(rb"^digit_classifier_images_queued (.*)", metrics.exposition(), re.MULTILINE)[0].decode()

    async def scenario() -> None:
        tasks = await queue.fill()
        assert waiting() == "2.0"
        queue.recorder.may_go_on.set()
        await asyncio.gather(*tasks)
        assert waiting() == "0.0"

    run(scenario)


def test_one_that_was_admitted_and_submits_nothing_makes_room_for_the_next() -> None:
    queue = Queue(2, 4)

    async def scenario() -> None:
        tasks = await queue.fill()
        bad = [asyncio.create_task(queue.submit_a_bad_body(2)) for _ in range(20)]
        await asyncio.sleep(0)
        good = asyncio.create_task(queue.submit(9))
        await asyncio.sleep(0.01)
        queue.recorder.may_go_on.set()
        await asyncio.gather(*tasks)
        assert numbers_of(await good) == [9]
        assert {str(each) for each in await asyncio.gather(*bad, return_exceptions=True)} == {"it is no image"}
        assert queue.is_empty()

    run(scenario)


def test_one_that_waits_past_its_deadline_or_leaves_is_in_nobodys_way() -> None:
    queue = Queue(2, 4)

    async def scenario() -> None:
        tasks = await queue.fill()
        late, leaving = asyncio.create_task(queue.submit(5, seconds=0.01)), asyncio.create_task(queue.submit(6))
        await asyncio.sleep(0)
        good = asyncio.create_task(queue.submit(7))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(DeadlineError):
            await late
        queue.recorder.may_go_on.set()
        assert numbers_of(await good) == [7]
        await asyncio.gather(*tasks)
        assert queue.is_empty()

    run(scenario)
    assert queue.recorder.batches == [[1, 2], [3, 4], [7]]


def test_one_that_leaves_in_the_turn_in_which_it_is_admitted_gives_its_room_back() -> None:
    queue = Queue(2, 4)

    async def scenario() -> None:
        first, second, *queued = await queue.fill()
        waiting = asyncio.create_task(queue.submit(5))
        await asyncio.sleep(0)
        for each in queued:  # which admits the one that waits
            each.cancel()
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        queue.recorder.may_go_on.set()
        await asyncio.gather(first, second)
        assert queue.is_empty()

    run(scenario)


def test_the_next_is_admitted_when_all_who_were_queued_have_left() -> None:
    queue = Queue(2, 4)

    async def scenario() -> None:
        first, second, *queued = await queue.fill()
        waiting = asyncio.create_task(queue.submit(5))
        await asyncio.sleep(0.01)
        for each in queued:
            each.cancel()
        await asyncio.sleep(0.01)
        queue.recorder.may_go_on.set()
        assert numbers_of(await waiting) == [5]
        await asyncio.gather(first, second)
        assert queue.is_empty()

    run(scenario)


def test_the_next_is_admitted_when_all_who_were_queued_are_too_late() -> None:
    queue = Queue(2, 4)

    async def scenario() -> None:
        tasks = [asyncio.create_task(queue.submit(number)) for number in (1, 2)]
        await asyncio.wrap_future(queue.recorder.running)
        late = [asyncio.create_task(queue.submit(number, seconds=0.01)) for number in (3, 4)]
        await asyncio.sleep(0)
        waiting = asyncio.create_task(queue.submit(5))
        await asyncio.wait(late)
        queue.recorder.may_go_on.set()
        assert numbers_of(await waiting) == [5]
        await asyncio.gather(*tasks)
        assert queue.is_empty()

    run(scenario)
