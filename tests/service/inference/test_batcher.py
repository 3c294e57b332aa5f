"""Which requests are computed together, proved by an engine that records the batches it was given."""

import asyncio
import threading

import numpy as np

from service.inference.batcher import Batcher
from tests.support.engines import SECONDS, Recorder, images, numbers_of, run


def test_requests_of_one_turn_are_one_batch_in_order_of_arrival() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(100)
        asked = [(1, 2), (3,), (4, 5, 6)]
        answers = await asyncio.gather(*(batcher.submit(recorder, images(*each), SECONDS) for each in asked))
        assert [numbers_of(answer) for answer in answers] == [list(each) for each in asked]
        assert [len(answer.answers.digits) for answer in answers] == [2, 1, 3]

    run(scenario)
    assert recorder.batches == [[1, 2, 3, 4, 5, 6]]


def test_a_lone_request_is_computed_in_the_next_turn() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        request = asyncio.ensure_future(Batcher(100).submit(recorder, images(7), SECONDS))
        await asyncio.sleep(0)  # it is submitted
        assert recorder.batches == []
        await asyncio.sleep(0)
        assert recorder.batches == [[7]]
        await request

    run(scenario)


def test_what_arrives_while_the_engine_is_busy_is_the_next_batch() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(4)
        first = asyncio.ensure_future(batcher.submit(recorder, images(1, 2), SECONDS))
        await asyncio.wrap_future(recorder.running)
        assert batcher.is_working
        later = []
        for number in range(3, 9):
            later.append(asyncio.ensure_future(batcher.submit(recorder, images(number), SECONDS)))
            await asyncio.sleep(0.001)
        assert recorder.batches == [[1, 2]]
        recorder.may_go_on.set()
        assert [numbers_of(each) for each in await asyncio.gather(first, *later)] == [[1, 2], *([n] for n in range(3, 9))]
        assert not batcher.is_working

    run(scenario)
    assert recorder.batches == [[1, 2], [3, 4, 5, 6], [7, 8]]


def test_small_batches_run_on_the_loop_and_large_ones_off_it_on_one_thread() -> None:
    recorder = Recorder(max_inline_images=2)
    recorder.may_go_on.set()

    async def scenario() -> None:
        batcher = Batcher(100)
        for size in (1, 2, 3, 2, 50):
            await batcher.submit(recorder, images(*range(size)), SECONDS)

    run(scenario)
    here = threading.get_ident()
    assert [thread == here for thread in recorder.threads] == [True, True, False, True, False]
    assert recorder.threads[2] == recorder.threads[4]


def test_a_request_that_does_not_fit_any_more_waits_for_the_next_batch() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(4)
        asked = [(1, 2, 3), (4, 5), (6,)]
        await asyncio.gather(*(batcher.submit(recorder, images(*each), SECONDS) for each in asked))

    run(scenario)
    assert recorder.batches == [[1, 2, 3], [4, 5, 6]]


def test_a_request_larger_than_a_batch_is_split_and_joined_again() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(4)
        answer = await batcher.submit(recorder, images(*range(10)), SECONDS)
        assert numbers_of(answer) == list(range(10))
        assert len(answer.answers.digits) == 10

    run(scenario)
    assert recorder.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_request_that_is_split_has_the_confidence_of_each_image_and_the_seconds_of_all_its_parts() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        answer = await Batcher(4).submit(recorder, images(*range(10)), SECONDS)
        assert answer.answers.confidence.tolist() == list(range(10))
        assert answer.answers.digits.tolist() == [0] + [3] * 9
        assert answer.compute_seconds > 0
        assert answer.queue_seconds > 0

    run(scenario)


def test_a_large_batch_runs_on_the_engines_own_thread_and_the_batcher_works_meanwhile() -> None:
    recorder = Recorder(max_inline_images=1)

    async def scenario() -> None:
        batcher = Batcher(100)
        assert batcher.is_working is False
        large = asyncio.ensure_future(batcher.submit(recorder, images(1, 2), SECONDS))
        await asyncio.wrap_future(recorder.running)
        assert batcher.is_working is True
        recorder.may_go_on.set()
        await large
        assert batcher.is_working is False

    run(scenario)
    assert recorder.thread_names == ["engine_0"]


def test_a_request_that_is_computed_in_several_calls_lets_others_in_between() -> None:
    recorder = Recorder(max_inline_images=1, max_images_at_once=3)

    async def scenario() -> None:
        batcher, order = Batcher(100), []

        async def ask(*numbers: int) -> None:
            answer = await batcher.submit(recorder, images(*numbers), SECONDS)
            assert numbers_of(answer) == list(numbers)
            order.append(numbers[0])

        large = asyncio.create_task(ask(*range(10, 20)))
        await asyncio.wrap_future(recorder.running)
        small = asyncio.create_task(ask(1))
        await asyncio.sleep(0)
        recorder.may_go_on.set()
        await asyncio.gather(large, small)
        assert order == [1, 10]

    run(scenario)
    assert recorder.batches[:3] == [[10, 11, 12], [1], [13, 14, 15]]


def test_novelty_is_computed_where_one_of_a_batch_asks_for_it() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(100)
        with_it = batcher.submit(recorder, images(1), SECONDS, with_novelty=True)
        answers = await asyncio.gather(batcher.submit(recorder, images(2), SECONDS), with_it)
        assert [numbers_of(each) for each in answers] == [[2], [1]]
        assert answers[1].answers.novelty == np.float32(1)
        assert answers[0].answers.novelty is None  # it did not ask
        alone = await batcher.submit(recorder, images(3), SECONDS)
        assert alone.answers.novelty is None

    run(scenario)
    assert recorder.with_novelty == [True, False]


def test_a_request_is_told_how_many_of_its_images_go_into_each_batch() -> None:
    async def scenario() -> None:
        left: list[int] = []
        await Batcher(4).submit(Recorder(), images(*range(10)), SECONDS, left.append)
        assert left == [4, 4, 2]

    run(scenario)


def test_a_batch_is_of_one_version_and_each_request_is_answered_by_its_own() -> None:
    old, new = Recorder("old"), Recorder("new")

    async def scenario() -> None:
        batcher = Batcher(100)
        asked = [(old, 1), (old, 2), (new, 3), (old, 4)]
        await asyncio.gather(*(batcher.submit(each, images(number), SECONDS) for each, number in asked))

    run(scenario)
    assert (old.batches, new.batches) == ([[1, 2], [4]], [[3]])


def test_the_seconds_of_queue_and_engine_are_told_apart() -> None:
    recorder = Recorder(max_inline_images=0)

    async def scenario() -> None:
        batcher = Batcher(1)
        asyncio.get_running_loop().call_later(0.05, recorder.may_go_on.set)
        first, second = await asyncio.gather(*(batcher.submit(recorder, images(n), SECONDS) for n in (1, 2)))
        assert first.queue_seconds < first.compute_seconds
        assert second.queue_seconds >= first.compute_seconds > second.compute_seconds

    run(scenario)


def test_a_million_images_in_requests_of_any_size_are_never_mixed_up() -> None:
    recorder, total = Recorder(max_inline_images=200), 1_000_000
    recorder.may_go_on.set()
    random = np.random.default_rng(0)

    async def scenario() -> None:
        batcher = Batcher(512)
        next_number = 0

        async def client() -> None:
            nonlocal next_number
            while next_number < total:
                size = min(int(random.choice([1, 1, 2, 16, 300, 1000])), total - next_number)
                asked = np.arange(next_number, next_number + size)
                next_number += size
                computed = await batcher.submit(recorder, images(*asked.tolist()), SECONDS)
                assert np.array_equal(computed.answers.probabilities[:, 3], asked)
                if random.random() < 0.1:
                    await asyncio.sleep(random.random() / 1000)

        await asyncio.gather(*(client() for _ in range(40)))

    run(scenario)
    assert sum(map(len, recorder.batches)) == total
    assert max(map(len, recorder.batches)) <= 512
    assert any(len(batch) > 1 for batch in recorder.batches)


def test_the_sizes_of_batches_are_observed_without_those_of_probes() -> None:
    recorder, observed = Recorder(), []

    async def scenario() -> None:
        batcher = Batcher(100, observed.append)
        await batcher.submit(recorder, images(1), SECONDS, is_probe=True)
        probe = batcher.submit(recorder, images(2), SECONDS, is_probe=True)
        await asyncio.gather(batcher.submit(recorder, images(3, 4), SECONDS), probe)
        assert batcher.num_answered == 3

    run(scenario)
    assert recorder.batches == [[1], [3, 4, 2]]
    assert observed == [2]
