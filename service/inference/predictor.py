"""Images in, a `Prediction` out: what every protocol, and BentoML's own API, calls."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.digits import check_images
from service.errors import ApiError, deadline_exceeded, too_many_images, too_many_requests
from service.inference.admission import Admission, DeadlineError, QueueFullError
from service.inference.batcher import Batcher
from service.inference.model_repository import LoadedModel, ModelRepository
from service.observability import metrics
from service.settings import Settings

Pixels = NDArray[np.float32]


@dataclass(slots=True)
class Prediction:
    """The answer for N checked `images` (N, 784): `digits` (N,), `probabilities` float32 (N, 10), and who gave it, how fast."""

    images: Pixels
    digits: NDArray[np.intp]
    probabilities: NDArray[np.float32]
    model: LoadedModel
    parse_seconds: float
    queue_seconds: float
    compute_seconds: float


class Predictor:
    """Answers images with the model that is served, within the bounds of the queue and of a request's time."""

    def __init__(self, repository: ModelRepository, settings: Settings) -> None:
        self.repository = repository
        self.batcher = Batcher(settings.max_batch_images, metrics.BATCH_SIZE.observe)
        self._admission = Admission(settings.max_batch_images, settings.max_queued_images)
        self._max_images = settings.max_images
        self._seconds = settings.request_timeout_seconds

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

    async def predict_decoded(self, decode: Callable[[float], Awaitable[Pixels]], expected_images: int = 0) -> Prediction:
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
                if len(images) > self._max_images:
                    raise too_many_images(f"{len(images):,} images", self._max_images)
                slot.resize(len(images))
                decoded, model = time.perf_counter(), self.repository.served
                result = await self.batcher.submit(model.engine, images, deadline - decoded, slot.release)
        except QueueFullError:
            raise too_many_requests("the queue is full") from None
        except (DeadlineError, TimeoutError):
            raise deadline_exceeded(self._seconds) from None
        metrics.count_predictions(result.digits, result.confidence)
        queue_seconds = admitted - started + result.queue_seconds
        return Prediction(
            images, result.digits, result.probabilities, model, decoded - admitted, queue_seconds, result.compute_seconds
        )
