"""One way from images to a prediction, with the same bounds and errors whoever asks."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.digits import MODEL_NAME
from service.errors import ApiError
from service.inference.model_repository import ModelRepository
from service.inference.predictor import Pixels, Predictor
from service.settings import Settings
from tests.support.engines import Recorder, images, numbers_of, run

SMALL = Settings(max_images=4, max_batch_images=2, max_queued_images=4, request_timeout_seconds=30)


def predictor_on(recorder: Recorder, settings: Settings = SMALL) -> Predictor:
    repository = ModelRepository(f"{MODEL_NAME}:latest", "cpu")
    repository._served = replace(repository.load(), engine=recorder.engine, max_inline_images=recorder.max_inline_images)
    return Predictor(repository, settings)


def test_a_prediction_says_what_was_answered_by_which_version_and_how_long_it_took(published_store: Path) -> None:
    recorder = Recorder()

    async def scenario() -> None:
        predictor = predictor_on(recorder)
        prediction = await predictor.predict(images(1, 2, 3).reshape(-1, 28, 28))
        assert numbers_of(prediction) == [1, 2, 3]
        assert prediction.answers.digits.tolist() == [3, 3, 3]
        assert np.array_equal(prediction.images, images(1, 2, 3))
        assert prediction.model is predictor.repository.served
        assert min(prediction.parse_seconds, prediction.queue_seconds, prediction.compute_seconds) > 0

    run(scenario)


@pytest.mark.parametrize(
    ("given", "status", "reason"),
    [
        (images(256), 400, "malformed"),
        (np.zeros((1, 783)), 400, "malformed"),
        (images(1, 2, 3, 4, 5), 413, "too_many_images"),
    ],
)
def test_what_is_not_an_image_or_too_many_is_refused_and_leaves_nothing_behind(
    published_store: Path, given: np.ndarray, status: int, reason: str
) -> None:
    async def scenario() -> None:
        predictor = predictor_on(Recorder())
        with pytest.raises(ApiError) as error:
            await predictor.predict(given)
        assert (error.value.status, error.value.reason, int(error.value.error_code)) == (status, reason, status)
        assert not predictor.will_wait()
        assert numbers_of(await predictor.predict(images(7))) == [7]

    run(scenario)


def test_a_full_queue_is_a_429(published_store: Path) -> None:
    recorder = Recorder(max_inline_images=0)

    async def decode_three(deadline: float) -> Pixels:
        return images(1, 2, 3)

    async def scenario() -> None:
        predictor = predictor_on(recorder)
        computed = asyncio.create_task(predictor.predict(images(9)))
        await asyncio.wrap_future(recorder.running)
        waiting = asyncio.create_task(predictor.predict_decoded(decode_three))
        await asyncio.sleep(0)
        with pytest.raises(ApiError, match=r"^Overloaded: the queue is full; retry after 1 s\.$") as error:
            await predictor.predict_decoded(decode_three)
        assert (error.value.status, error.value.headers) == (429, {"Retry-After": "1"})
        recorder.may_go_on.set()
        await asyncio.gather(computed, waiting)

    run(scenario)


@pytest.mark.parametrize("is_decoding", [True, False])
def test_what_is_not_answered_in_time_is_a_504_whether_it_was_decoded_or_computed_too_slowly(
    published_store: Path, is_decoding: bool
) -> None:
    recorder = Recorder(max_inline_images=0)

    async def decode(deadline: float) -> Pixels:
        async with asyncio.timeout(0.01 if is_decoding else None):
            await asyncio.sleep(1 if is_decoding else 0)
        return images(1)

    async def scenario() -> None:
        predictor = predictor_on(recorder, SMALL.model_copy(update={"request_timeout_seconds": 0.05}))
        with pytest.raises(ApiError, match=r"no answer within 0\.05 s") as error:
            await predictor.predict_decoded(decode)
        assert (error.value.status, error.value.reason) == (504, "deadline_exceeded")
        recorder.may_go_on.set()

    run(scenario)


def test_while_a_whole_batch_waits_nothing_is_decoded(published_store: Path) -> None:
    recorder, decoded = Recorder(max_inline_images=0), []

    async def scenario() -> None:
        predictor = predictor_on(recorder)
        tasks = [asyncio.create_task(predictor.predict(images(1)))]
        await asyncio.wrap_future(recorder.running)
        tasks.append(asyncio.create_task(predictor.predict(images(2, 3))))
        await asyncio.sleep(0)

        async def decode(deadline: float) -> Pixels:
            decoded.append(4)
            return images(4)

        tasks.append(asyncio.create_task(predictor.predict_decoded(decode, 1)))
        await asyncio.sleep(0.01)
        assert decoded == []
        assert predictor.will_wait()
        recorder.may_go_on.set()
        assert [numbers_of(each) for each in await asyncio.gather(*tasks)] == [[1], [2, 3], [4]]

    run(scenario)


def not_linear(recorder: Recorder, settings: Settings = SMALL) -> Predictor:
    predictor = predictor_on(recorder, settings)
    repository = predictor.repository
    repository._served = replace(repository.served, linear=None)
    return predictor


async def decoded(deadline: float) -> Pixels:
    return images(1, 2)


def test_of_a_model_that_is_not_linear_answers_are_explained_by_occlusion(published_store: Path) -> None:
    recorder = Recorder()

    async def scenario() -> None:
        prediction = await not_linear(recorder).predict_decoded(decoded, is_explained=True)
        assert prediction.explain
        explanation = prediction.explain(slice(1, 2))
        assert (explanation.method, explanation.pixels.shape) == ("occlusion", (1, 784))
        assert (await not_linear(recorder).predict_decoded(decoded)).explain is None

    run(scenario)
    assert recorder.batches[1] == [1, 0]  # the image, and without its only ink


def test_only_so_many_answers_wait_to_be_explained_and_none_beyond_its_time(published_store: Path) -> None:
    recorder = Recorder(max_inline_images=2)

    async def scenario() -> None:
        predictor = not_linear(recorder, Settings(request_timeout_seconds=0.5))
        await predictor._occluding.acquire()  # another is being explained, for long
        asked = [asyncio.create_task(predictor.predict_decoded(decoded, is_explained=True)) for _ in range(18)]
        ends = await asyncio.gather(*asked, return_exceptions=True)
        statuses = [each.status for each in ends if isinstance(each, ApiError)]
        assert sorted(statuses) == [429] * 2 + [504] * 16
        predictor._occluding.release()
        assert (await predictor.predict_decoded(decoded, is_explained=True)).explain

    recorder.may_go_on.set()
    run(scenario)
