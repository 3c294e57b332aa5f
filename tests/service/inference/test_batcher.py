"""Who rides with whom, proved by an engine that records the batches it was given."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import pytest

from models.engine import Engine
from service.inference.batcher import Batcher, DeadlineError, Prediction, QueueFullError

SECONDS = 30


def images(*numbers: int) -> np.ndarray:
    """Return images that are told apart by their first pixel."""
    array = np.zeros((len(numbers), 784), np.float32)
    array[:, 0] = numbers
    return array


@dataclass
class Recorder:
    """An engine whose answer to an image is its number; off the loop it waits until the test lets it go on."""

    name: str = "a"
    max_inline_images: int = 10_000
    batches: list[list[int]] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    running: Future[None] = field(default_factory=Future)
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.engine = Engine("litert", "cpu", self.run, self.max_inline_images)

    def run(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(batch[:, 0].astype(int).tolist())
        self.threads.append(threading.get_ident())
        if len(batch) > self.max_inline_images:
            if not self.running.done():
                self.running.set_result(None)
            assert self.may_go_on.wait(SECONDS)
        assert -1 not in self.batches[-1], "this image breaks the engine"
        probabilities = np.zeros((len(batch), 10), np.float32)
        probabilities[:, 3] = batch[:, 0]
        return probabilities


def numbers_of(computed: Prediction) -> list[int]:
    return computed.probabilities[:, 3].astype(int).tolist()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def with_a_limit() -> None:
        async with asyncio.timeout(SECONDS):
            await scenario()

    asyncio.run(with_a_limit())


def test_requests_of_one_turn_ride_in_one_batch_in_the_order_they_came() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(100, 1000)
        asked = [(1, 2), (3,), (4, 5, 6)]
        answers = await asyncio.gather(*(batcher.submit(recorder.engine, images(*each), SECONDS) for each in asked))
        assert [numbers_of(answer) for answer in answers] == [list(each) for each in asked]
        assert [len(answer.digits) for answer in answers] == [2, 1, 3]

    run(scenario)
    assert recorder.batches == [[1, 2, 3, 4, 5, 6]]


def test_a_lone_request_is_computed_in_the_next_turn() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        request = asyncio.ensure_future(Batcher(100, 1000).submit(recorder.engine, images(7), SECONDS))
        await asyncio.sleep(0)  # it is submitted
        assert recorder.batches == []
        await asyncio.sleep(0)
        assert recorder.batches == [[7]]
        await request

    run(scenario)


def test_what_comes_while_the_engine_is_busy_rides_together_next() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(4, 1000)
        first = asyncio.ensure_future(batcher.submit(recorder.engine, images(1, 2), SECONDS))
        await asyncio.wrap_future(recorder.running)
        assert batcher.will_wait()
        later = []
        for number in range(3, 9):
            later.append(asyncio.ensure_future(batcher.submit(recorder.engine, images(number), SECONDS)))
            await asyncio.sleep(0.001)
        assert recorder.batches == [[1, 2]]
        recorder.may_go_on.set()
        assert [numbers_of(each) for each in await asyncio.gather(first, *later)] == [[1, 2], *([n] for n in range(3, 9))]
        assert not batcher.will_wait()

    run(scenario)
    assert recorder.batches == [[1, 2], [3, 4, 5, 6], [7, 8]]


def test_small_batches_run_on_the_loop_and_large_ones_off_it_on_one_thread() -> None:
    recorder = Recorder(max_inline_images=2)
    recorder.may_go_on.set()

    async def scenario() -> None:
        batcher = Batcher(100, 1000)
        for size in (1, 2, 3, 2, 50):
            await batcher.submit(recorder.engine, images(*range(size)), SECONDS)

    run(scenario)
    here = threading.get_ident()
    assert [thread == here for thread in recorder.threads] == [True, True, False, True, False]
    assert recorder.threads[2] == recorder.threads[4]


def test_a_request_that_does_not_fit_any_more_waits_for_the_next_batch() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(4, 1000)
        asked = [(1, 2, 3), (4, 5), (6,)]
        await asyncio.gather(*(batcher.submit(recorder.engine, images(*each), SECONDS) for each in asked))

    run(scenario)
    assert recorder.batches == [[1, 2, 3], [4, 5, 6]]


def test_a_request_larger_than_a_batch_is_split_and_joined_again() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(4, 1000)
        answer = await batcher.submit(recorder.engine, images(*range(10)), SECONDS)
        assert numbers_of(answer) == list(range(10))
        assert len(answer.digits) == 10

    run(scenario)
    assert recorder.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_batch_is_of_one_version_and_each_request_is_answered_by_its_own() -> None:
    old, new = Recorder("old"), Recorder("new")

    async def scenario() -> None:
        batcher = Batcher(100, 1000)
        asked = [(old, 1), (old, 2), (new, 3), (old, 4)]
        await asyncio.gather(*(batcher.submit(each.engine, images(number), SECONDS) for each, number in asked))

    run(scenario)
    assert (old.batches, new.batches) == ([[1, 2], [4]], [[3]])


def test_a_fault_of_the_engine_fails_its_batch_and_no_other() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(2, 1000)
        asked = [(1,), (-1,), (3,)]
        answers = await asyncio.gather(
            *(batcher.submit(recorder.engine, images(*each), SECONDS) for each in asked), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [AssertionError, AssertionError, Prediction]
        assert numbers_of(await batcher.submit(recorder.engine, images(4), SECONDS)) == [4]

    run(scenario)


def test_a_client_that_left_takes_its_images_out_of_the_queue() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(10, 5)
        first = asyncio.ensure_future(batcher.submit(recorder.engine, images(1, 2), SECONDS))
        await asyncio.wrap_future(recorder.running)
        leaving = asyncio.ensure_future(batcher.submit(recorder.engine, images(3, 4, 5, 6, 7), SECONDS))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await batcher.submit(recorder.engine, images(8), SECONDS)
        leaving.cancel()
        await asyncio.wait([leaving])
        staying = asyncio.ensure_future(batcher.submit(recorder.engine, images(9), SECONDS))
        await asyncio.sleep(0)
        recorder.may_go_on.set()
        assert [numbers_of(each) for each in await asyncio.gather(first, staying)] == [[1, 2], [9]]

    run(scenario)
    assert recorder.batches == [[1, 2], [9]]


def test_what_is_past_its_deadline_is_not_computed() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(10, 1000)
        first = asyncio.ensure_future(batcher.submit(recorder.engine, images(1, 2), SECONDS))
        await asyncio.wrap_future(recorder.running)
        with pytest.raises(DeadlineError):
            await batcher.submit(recorder.engine, images(3), 0.01)
        recorder.may_go_on.set()
        await first
        assert numbers_of(await batcher.submit(recorder.engine, images(4), SECONDS)) == [4]

    run(scenario)
    assert recorder.batches == [[1, 2], [4]]


def test_an_engine_that_hangs_does_not_keep_a_request_past_its_deadline() -> None:
    recorder = Recorder(max_inline_images=0)

    async def scenario() -> None:
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            await Batcher(10, 1000).submit(recorder.engine, images(1), 0.05)
        assert time.monotonic() - started < 5
        recorder.may_go_on.set()

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


def test_the_seconds_of_queue_and_engine_are_told_apart() -> None:
    recorder = Recorder(max_inline_images=0)

    async def scenario() -> None:
        batcher = Batcher(1, 1000)
        asyncio.get_running_loop().call_later(0.05, recorder.may_go_on.set)
        first, second = await asyncio.gather(*(batcher.submit(recorder.engine, images(n), SECONDS) for n in (1, 2)))
        assert first.queue_seconds < first.compute_seconds
        assert second.queue_seconds >= first.compute_seconds > second.compute_seconds

    run(scenario)


def test_a_million_images_in_requests_of_any_size_are_never_mixed_up() -> None:
    recorder, total = Recorder(max_inline_images=200), 1_000_000
    recorder.may_go_on.set()
    random = np.random.default_rng(0)

    async def scenario() -> None:
        batcher = Batcher(512, 1_000_000)
        next_number = 0

        async def client() -> None:
            nonlocal next_number
            while next_number < total:
                size = min(int(random.choice([1, 1, 2, 16, 300, 1000])), total - next_number)
                asked = np.arange(next_number, next_number + size)
                next_number += size
                computed = await batcher.submit(recorder.engine, images(*asked.tolist()), SECONDS)
                assert np.array_equal(computed.probabilities[:, 3], asked)
                if random.random() < 0.1:
                    await asyncio.sleep(random.random() / 1000)

        await asyncio.gather(*(client() for _ in range(40)))

    run(scenario)
    assert sum(map(len, recorder.batches)) == total
    assert max(map(len, recorder.batches)) <= 512
    assert any(len(batch) > 1 for batch in recorder.batches)


async def come(batcher: Batcher, recorder: Recorder, number: int, seconds: float = SECONDS) -> Prediction:
    """Ask for one image as an endpoint does: wait for room, and only then make an array of the body."""
    if not batcher.has_room():
        await batcher.wait_for_room(1, seconds)
    return await batcher.submit(recorder.engine, images(number), SECONDS)


async def fill(batcher: Batcher, recorder: Recorder) -> list[asyncio.Task[Prediction]]:
    """Let the engine work and a whole batch, of two images, wait behind that."""
    tasks = [asyncio.create_task(come(batcher, recorder, 1)), asyncio.create_task(come(batcher, recorder, 2))]
    await asyncio.wrap_future(recorder.running)
    tasks += [asyncio.create_task(come(batcher, recorder, number)) for number in (3, 4)]
    await asyncio.sleep(0)
    assert not batcher.has_room()
    return tasks


def test_while_a_whole_batch_waits_the_next_bodies_wait_unparsed_and_come_in_in_order() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(2, 4)  # with all ten in the queue it would be full
        tasks = [*await fill(batcher, recorder), *(asyncio.create_task(come(batcher, recorder, n)) for n in range(5, 11))]
        await asyncio.sleep(0.01)
        recorder.may_go_on.set()
        assert [numbers_of(each) for each in await asyncio.gather(*tasks)] == [[n] for n in range(1, 11)]
        assert batcher.has_room()

    run(scenario)
    assert recorder.batches == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]


def test_one_that_was_let_in_and_submits_nothing_makes_room_for_the_next() -> None:
    recorder = Recorder(max_inline_images=1)

    async def come_with_a_bad_body(batcher: Batcher) -> None:
        await batcher.wait_for_room(2, SECONDS)
        batcher.admit()

    async def scenario() -> None:
        batcher = Batcher(2, 4)
        tasks = await fill(batcher, recorder)
        bad = [asyncio.create_task(come_with_a_bad_body(batcher)) for _ in range(20)]
        await asyncio.sleep(0)
        good = asyncio.create_task(come(batcher, recorder, 9))
        await asyncio.sleep(0.01)
        recorder.may_go_on.set()
        await asyncio.gather(*tasks, *bad)
        assert numbers_of(await good) == [9]

    run(scenario)


def test_who_waits_for_room_past_the_deadline_or_leaves_stands_in_nobodys_way() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(2, 4)
        tasks = await fill(batcher, recorder)
        late, leaving = asyncio.create_task(come(batcher, recorder, 5, 0.01)), asyncio.create_task(come(batcher, recorder, 6))
        await asyncio.sleep(0)
        good = asyncio.create_task(come(batcher, recorder, 7))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(DeadlineError):
            await late
        recorder.may_go_on.set()
        assert numbers_of(await good) == [7]
        await asyncio.gather(*tasks)

    run(scenario)
    assert recorder.batches == [[1, 2], [3, 4], [7]]


def test_the_gate_opens_again_when_all_who_waited_behind_a_batch_have_left() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(2, 4)
        first, second, *queued = await fill(batcher, recorder)
        waiting = asyncio.create_task(come(batcher, recorder, 5))
        await asyncio.sleep(0.01)
        for each in queued:
            each.cancel()
        await asyncio.sleep(0.01)
        recorder.may_go_on.set()
        assert numbers_of(await waiting) == [5]
        await asyncio.gather(first, second)
        assert batcher.has_room()

    run(scenario)


def test_the_gate_opens_again_when_all_who_waited_behind_a_batch_are_too_late() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(2, 4)
        tasks = [asyncio.create_task(come(batcher, recorder, number)) for number in (1, 2)]
        await asyncio.wrap_future(recorder.running)
        late = [asyncio.create_task(batcher.submit(recorder.engine, images(number), 0.01)) for number in (3, 4)]
        await asyncio.sleep(0)
        waiting = asyncio.create_task(come(batcher, recorder, 5))
        await asyncio.wait(late)
        recorder.may_go_on.set()
        assert numbers_of(await waiting) == [5]
        await asyncio.gather(*tasks)

    run(scenario)


def test_a_fault_beside_the_engine_fails_its_batch_and_no_other() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(100, 1000)
        of_another_width = np.zeros((1, 5), np.float32)
        bad = [asyncio.create_task(batcher.submit(recorder.engine, each, SECONDS)) for each in (images(1), of_another_width)]
        await asyncio.wait(bad)
        assert all(isinstance(each.exception(), ValueError) for each in bad)
        assert numbers_of(await batcher.submit(recorder.engine, images(2), SECONDS)) == [2]

    run(scenario)
