"""Images in, a `Prediction` out: what every protocol, and BentoML's own API, calls."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.digits import check_images
from service.errors import ApiError, deadline_exceeded, too_many_images, too_many_requests
from service.inference.admission import Admission, DeadlineError, QueueFullError
from service.inference.batcher import Answers, Batcher
from service.inference.explanation import Explanation, occlude
from service.inference.loaded_model import LoadedModel
from service.inference.model_repository import ModelRepository
from service.observability import metrics
from service.process.throughput import Throughput
from service.settings import Settings

Pixels = NDArray[np.float32]

# Of a model that is not linear, in one request: each takes as long as up to 170 images do.
MAX_OCCLUDED_IMAGES = 64
# Requests that are explained so or wait for it, with their images.
_MAX_OCCLUDING = 16

Explain = Callable[[slice], Explanation]
"""Explains the answers for some of a prediction's images."""


@dataclass(slots=True)
class Prediction:
    """The answers for N checked `images` (N, 784), who gave them, how fast, and where it was asked for, what explains them."""

    images: Pixels
    answers: Answers
    model: LoadedModel
    parse_seconds: float
    queue_seconds: float
    compute_seconds: float
    explain: Explain | None = None


class Predictor:
    """Answers images with the model that is served, within the bounds of the queue and of a request's time."""

    def __init__(self, repository: ModelRepository, settings: Settings) -> None:
        self.repository = repository
        self.batcher = Batcher(settings.max_batch_images, metrics.BATCH_SIZE.observe)
        self._admission = Admission(settings.max_batch_images, settings.max_queued_images)
        self._max_images = settings.max_images
        self._seconds = settings.request_timeout_seconds
        # One image at a time is occluded, in variants that take half a megabyte.
        self._occluding = asyncio.Lock()
        self._num_occluding = 0
        self._explained = Throughput()

    def will_wait(self) -> bool:
        """Say whether a request would wait for more than the next turn of the event loop."""
        return self.batcher.is_working or not self._admission.has_room()

    async def predict(self, images: NDArray[Any]) -> Prediction:
        """Answer `images` of shape (N, 784) or (N, 28, 28), real numbers from 0 to 255.

        Raises:
            ApiError: 400, 413, 429 or 504.
        """

        async def check(deadline: float) -> Pixels:
            try:
                return check_images(images)
            except ValueError as error:
                raise ApiError(400, "malformed", str(error)) from None

        return await self.predict_decoded(check, len(images))

    async def predict_decoded(
        self,
        decode: Callable[[float], Awaitable[Pixels]],
        expected_images: int = 0,
        *,
        with_novelty: bool = True,
        is_explained: bool = False,
    ) -> Prediction:
        """Answer the checked images (N, 784) that `decode` returns; it is told until when, by `time.perf_counter`.

        While a whole batch waits, so do those that expect images, before they are decoded.

        Raises:
            ApiError: 413, 429 or 504, or what `decode` raises.
        """
        started = time.perf_counter()
        deadline = started + self._seconds
        try:
            with self._admission.slot() as slot:
                if expected_images and not self._admission.has_room():
                    await slot.wait(expected_images, self._seconds)
                admitted = time.perf_counter()
                images = await decode(deadline)
                model = self.repository.served
                self._check_number(images, model, is_explained)
                slot.resize(len(images))
                decoded = time.perf_counter()
                result = await self.batcher.submit(model, images, deadline - decoded, slot.release, with_novelty=with_novelty)
            explain = await self._explain(model, images, result.answers.digits, deadline) if is_explained else None
        except QueueFullError:
            raise too_many_requests("the queue is full", self._admission.retry_seconds()) from None
        except (DeadlineError, TimeoutError):
            raise deadline_exceeded(self._seconds, self._admission.retry_seconds()) from None
        answers = result.answers
        metrics.count_predictions(answers.digits, answers.confidence, answers.novelty, answers.accepted)
        queue_seconds = admitted - started + result.queue_seconds
        return Prediction(images, result.answers, model, decoded - admitted, queue_seconds, result.compute_seconds, explain)

    def _check_number(self, images: Pixels, model: LoadedModel, is_explained: bool) -> None:
        if len(images) > self._max_images:
            raise too_many_images(f"{len(images):,} images", self._max_images)
        if is_explained and model.linear is None and len(images) > MAX_OCCLUDED_IMAGES:
            sentence = f"{len(images):,} images with explain=true received, and {model.tag} is not linear"
            raise ApiError(413, "too_many_images", f"{sentence}; send at most {MAX_OCCLUDED_IMAGES} in one such request.")

    async def _explain(self, model: LoadedModel, images: Pixels, digits: NDArray[np.intp], deadline: float) -> Explain:
        """Return what explains the answers: at once for a linear model, of others what is computed here by occlusion."""
        if linear := model.linear:
            return lambda rows: linear.explain(images[rows], digits[rows])

        async def compute(variants: Pixels) -> NDArray[np.float32]:
            result = await self.batcher.submit(model, variants, deadline - time.perf_counter())
            return result.answers.probabilities

        if self._num_occluding == _MAX_OCCLUDING:
            retry_seconds = self._explained.retry_seconds(self._num_occluding)
            raise too_many_requests("other answers are waiting to be explained", retry_seconds)
        if not self._num_occluding:
            self._explained.begin()
        self._num_occluding += 1
        try:
            async with asyncio.timeout(deadline - time.perf_counter()), self._occluding:
                return (await occlude(images, digits, compute)).part
        finally:
            self._num_occluding -= 1
            self._explained.left += 1
