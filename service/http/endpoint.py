"""`POST /predict` as one plain ASGI callable: read, decode, submit, encode, send."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any
from urllib.parse import parse_qs

import numpy as np
from numpy.typing import NDArray
from starlette.types import Receive, Scope, Send

from models.digits import NUM_PIXELS, hint_about
from service.errors import CLIENT_LEFT, ApiError, too_many_requests
from service.http.request_body import BodyReader
from service.http.request_cycle import offers_another_protocol
from service.images.decode_pool import DecodePool
from service.inference.batcher import Batcher, DeadlineError, Prediction, QueueFullError
from service.inference.model_repository import LoadedModel, ModelRepository
from service.observability import metrics
from service.process.memory import IdleTrimmer, give_back_freed_memory
from service.protocols.answers import BYTES, answer_type, encode_bytes, encode_json, explain
from service.protocols.media_types import RequestFormat, decode, request_format
from service.settings import Settings

# From here on, what bodies in hand leave behind in memory is worth giving back; of a picture it may be a thousand times that.
_LARGE_BYTES = 2**16
_HUGE_BYTES = 8 * 2**20

_Answered = tuple[NDArray[np.float32], Prediction, tuple[float, float]]


class PredictEndpoint:
    """Answers digits. Whatever it refuses, it raises as an `ApiError`, for the door to word."""

    def __init__(self, repository: ModelRepository, batcher: Batcher, settings: Settings) -> None:
        self._repository = repository
        self._batcher = batcher
        self._settings = settings
        self._intake = BodyReader(settings.max_body_bytes, settings.max_pending_body_bytes, settings.request_timeout_seconds)
        self._slow_lane = DecodePool(settings.decode_queue_timeout_seconds)
        self._quiet_moment = IdleTrimmer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        announced = headers.get(b"content-length")
        # Zeros may stand before it, more of them than Python makes a number of.
        with self._intake.place(int(announced.lstrip(b"0") or 0) if announced else None) as place:
            # All that can be refused without the body is refused before it is read.
            if b"upgrade" in headers:
                _check_protocol(scope)
            if b"content-encoding" in headers:
                _check_coding(headers[b"content-encoding"])
            content_type = headers.get(b"content-type", b"").decode("latin-1")
            form = request_format(content_type)
            if form.is_slow and self._slow_lane.is_full():
                raise too_many_requests("other pictures wait to be read")
            media_type = answer_type(headers.get(b"accept", b"").decode("latin-1"))
            is_explained = _wants_explanation(scope["query_string"], media_type)
            body = await self._intake.read(receive, place)
            version = self._repository.served
            computing = self._computed(version, form, body, content_type)
            # Watching for a client that leaves costs more than the next turn of the event loop is away.
            will_wait = form.is_slow or self._batcher.will_wait()
            images, computed, waited = await (_unless_left(receive, computing) if will_wait else computing)
            to_encode = time.perf_counter()
            answer = _encoded(version, images, computed, media_type, is_explained)

        stages = (*waited, computed.compute_seconds, time.perf_counter() - to_encode)
        metrics.count_stages(stages)
        await _send(send, answer, media_type, version, stages)

    async def _computed(self, version: LoadedModel, form: RequestFormat, body: bytes, content_type: str) -> _Answered:
        """Return the images, what the engine answered, and the seconds that parsing and the queue took."""
        limit, complete = self._settings.request_timeout_seconds, time.perf_counter()
        try:
            if not (form.is_slow or self._batcher.has_room()):
                # What is not parsed yet takes the least memory, and is computed no later for it.
                await self._batcher.wait_for_room(len(body) // NUM_PIXELS, limit)
            began = time.perf_counter()
            images = await self._decoded(form, body, content_type, complete + limit)
            decoded = time.perf_counter()
            computed = await self._batcher.submit(version.engine, images, limit - (decoded - complete))
        except QueueFullError:
            raise too_many_requests(f"{self._settings.max_queued_images:,} images wait already") from None
        except DeadlineError:
            sentence = f"there was no answer within {limit:g} s; send again, or fewer images at a time."
            raise ApiError(504, "deadline_exceeded", sentence) from None
        return images, computed, (decoded - began, computed.queue_seconds + began - complete)

    async def _decoded(self, form: RequestFormat, body: bytes, content_type: str, deadline: float) -> NDArray[np.float32]:
        is_over = False

        def is_wanted() -> bool:
            return not is_over and time.perf_counter() < deadline

        if len(body) > _HUGE_BYTES:
            give_back_freed_memory()  # the pieces in which it came, before parsing takes as much again
        arguments = (form, body, content_type, self._settings.max_images, is_wanted)
        try:
            if not form.is_slow:
                return decode(*arguments)
            async with asyncio.timeout(deadline - time.perf_counter()):
                return await self._slow_lane.run(decode, *arguments)
        except TimeoutError:
            raise DeadlineError from None
        except BaseException:
            self._batcher.admit()
            raise
        finally:
            is_over = True
            if self._intake.bytes_in_hand > _LARGE_BYTES or form.is_slow:
                self._quiet_moment.put_off()


def _check_protocol(scope: Scope) -> None:
    if offers_another_protocol(scope):  # then uvicorn reads no body
        came = dict(scope["headers"])[b"upgrade"][:40].decode("latin-1")
        sentence = f"the request offers to upgrade to {came}; send it in HTTP/1.1 alone, without the header Upgrade."
        raise ApiError(400, "malformed", sentence)


def _check_coding(coding: bytes) -> None:
    if coding.strip().lower() != b"identity":
        came = coding[:40].decode("latin-1")
        sentence = f"Content-Encoding is {came}; send the body as it is, or pixels as {BYTES}, a quarter of the size of JSON."
        raise ApiError(415, "media_type", sentence)


def _wants_explanation(query: bytes, media_type: str) -> bool:
    if not query:
        return False
    choice = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("explain", ["false"])[-1]
    if choice not in ("true", "false"):
        raise ApiError(400, "malformed", f"explain is {choice[:40]!r}; send ?explain=true, or leave it out.")
    if choice == "true" and media_type == BYTES:
        sentence = f"explain=true was asked for with Accept: {BYTES}, which has no room for evidence; accept JSON."
        raise ApiError(400, "malformed", sentence)
    return choice == "true"


async def _unless_left(receive: Receive, answer: Coroutine[Any, Any, _Answered]) -> _Answered:
    """Wait for `answer`, but no longer than the client does.

    Raises:
        ApiError: 499, the client left; its images are then taken out of the queue.
    """
    answering, leaving = asyncio.ensure_future(answer), asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        raise ApiError(CLIENT_LEFT, "client_left", "the client left before it was answered.")
    finally:
        answering.cancel()
        leaving.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _encoded(
    version: LoadedModel, images: NDArray[np.float32], computed: Prediction, media_type: str, is_explained: bool
) -> bytes:
    if media_type == BYTES:
        return encode_bytes(computed.probabilities)
    explanation = explain(images, computed.digits, version.weights, version.biases) if is_explained else None
    return encode_json(version.tag, computed.digits, computed.probabilities, hint_about(images), explanation)


async def _send(send: Send, body: bytes, media_type: str, version: LoadedModel, stages: tuple[float, ...]) -> None:
    milliseconds = tuple(1000 * seconds for seconds in stages)
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"x-model-version", version.card.version.encode()),
        (b"server-timing", _SERVER_TIMING % milliseconds),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


_SERVER_TIMING = b", ".join(b"%s;dur=%%.3f" % stage.encode() for stage in metrics.STAGES)
