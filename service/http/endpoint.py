"""An inference request, whatever its protocol: check its headers, read its body, predict, send the answer."""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from models.digits import NUM_PIXELS
from service.errors import CLIENT_LEFT, ApiError, too_many_requests
from service.http.request_body import BodyReader, BodyReservation
from service.http.request_cycle import offers_another_protocol
from service.images.decode_pool import DecodePool
from service.inference.predictor import Pixels, Prediction, Predictor
from service.observability import metrics
from service.process.memory import IdleTrimmer, give_back_freed_memory
from service.protocols.media_types import BYTES
from service.protocols.protocol import Call, OpenCall

# From here on, what pending bodies leave behind in memory is worth giving back; of a picture it may be a thousand times that.
_LARGE_BYTES = 2**16
_HUGE_BYTES = 8 * 2**20
# Up to so many are counted apart, because they all should take about as long.
_SMALL_IMAGES = 64


class InferenceEndpoint:
    """Answers inference requests of one protocol. What it refuses it raises as an `ApiError`, for the app to send."""

    def __init__(
        self, open_call: OpenCall, predictor: Predictor, bodies: BodyReader, decode_pool: DecodePool, max_images: int
    ) -> None:
        self._open_call = open_call
        self._predictor = predictor
        self._bodies = bodies
        self._decode_pool = decode_pool
        self._max_images = max_images
        self._idle_trimmer = IdleTrimmer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _by_name(scope["headers"])
        with self._bodies.reserve(_content_length(headers)) as reservation:
            # All that can be refused without the body is refused before it is read.
            _check_headers(scope, headers)
            call = self._open_call(headers, scope["query_string"], scope.get("path_params", {}))
            if call.is_slow and self._decode_pool.is_full():
                raise too_many_requests("other pictures are waiting to be decoded", self._decode_pool.retry_seconds())
            body = await self._bodies.read(receive, reservation)
            # While a whole batch waits, so do small bodies, undecoded.
            expected_images = 0 if call.is_slow else max(1, len(body) // NUM_PIXELS)
            started, num_images, is_ours = time.perf_counter(), expected_images, True
            try:
                answering = self._predictor.predict_decoded(
                    partial(self._decoded, call, body),
                    expected_images,
                    with_novelty=call.wants_novelty,
                    is_explained=call.is_explained,
                )
                # Watching for a client that leaves costs more than the next turn of the event loop is away.
                will_wait = call.is_slow or call.is_explained or self._predictor.will_wait()
                prediction = await (_unless_left(receive, answering) if will_wait else answering)
                del body  # its client may take long to read the answer
                num_images = len(prediction.images)
                await _send(scope, send, call, prediction, reservation)
            except (ApiError, ClientDisconnect) as error:
                is_ours = isinstance(error, ApiError) and error.status >= 500
                raise
            finally:  # also where the client has left
                if is_ours:
                    metrics.ANSWER_DURATION.observe(time.perf_counter() - started, _kind(call, num_images))
                if self._bodies.pending_bytes > _LARGE_BYTES:
                    self._idle_trimmer.put_off()

    async def _decoded(self, call: Call, body: bytes, deadline: float) -> Pixels:
        is_over = False

        def is_wanted() -> bool:
            return not is_over and time.perf_counter() < deadline

        if len(body) > _HUGE_BYTES:
            give_back_freed_memory()  # the pieces in which it arrived, before parsing takes as much again
        try:
            if not call.is_slow:
                return call.decode(body, self._max_images, is_wanted)
            async with asyncio.timeout(deadline - time.perf_counter()):
                return await self._decode_pool.run(call.decode, body, self._max_images, is_wanted)
        finally:
            is_over = True
            if self._bodies.pending_bytes > _LARGE_BYTES or call.is_slow:
                self._idle_trimmer.put_off()


def _kind(call: Call, num_images: int) -> metrics.AnswerKind:
    if call.is_slow:
        return "picture"
    return "small" if num_images <= _SMALL_IMAGES and not call.is_explained else "large"


def _by_name(lines: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers; the lines of Accept are one list, as RFC 9110 has it in section 5.3."""
    headers = dict(lines)
    if len(headers) < len(lines) and b"accept" in headers:
        headers[b"accept"] = b", ".join(value for name, value in lines if name == b"accept")
    return headers


def _content_length(headers: dict[bytes, bytes]) -> int | None:
    announced = headers.get(b"content-length")
    # Zeros may stand before it, more of them than Python makes a number of.
    return int(announced.lstrip(b"0") or 0) if announced else None


def _check_headers(scope: Scope, headers: dict[bytes, bytes]) -> None:
    if b"upgrade" in headers and offers_another_protocol(scope):  # then uvicorn reads no body
        received = headers[b"upgrade"][:40].decode("latin-1")
        sentence = f"the request offers to upgrade to {received}; send it in HTTP/1.1 alone, without the header Upgrade."
        raise ApiError(400, "malformed", sentence)
    coding = headers.get(b"content-encoding", b"identity")
    if coding.strip().lower() != b"identity":
        received = coding[:40].decode("latin-1")
        sentence = (
            f"Content-Encoding is {received}; send the body as it is, or pixels as {BYTES}, a quarter of the size of JSON."
        )
        raise ApiError(415, "media_type", sentence)


async def _unless_left(receive: Receive, answer: Coroutine[Any, Any, Prediction]) -> Prediction:
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


async def _send(scope: Scope, send: Send, call: Call, prediction: Prediction, reservation: BodyReservation) -> None:
    started = time.perf_counter()
    answer = call.encode(prediction)
    if not isinstance(answer.body, bytes):
        reservation.resize(prediction.images.nbytes)  # of which the pieces are made
        if scope["http_version"] == "1.0":  # which has no chunks
            answer.body = await _joined(answer.body)
    # Of an answer in pieces, which are made as they are sent, what comes before the first.
    encoded = time.perf_counter() - started
    stages = (prediction.parse_seconds, prediction.queue_seconds, prediction.compute_seconds, encoded)
    metrics.count_stages(stages)
    headers = [
        (b"content-type", answer.media_type.encode()),
        (b"x-model-version", prediction.model.card.version.encode()),
        (b"server-timing", _SERVER_TIMING % tuple(1000 * seconds for seconds in stages)),
        *answer.headers,
    ]
    if isinstance(answer.body, bytes):
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if isinstance(answer.body, bytes):
        await send({"type": "http.response.body", "body": answer.body})
    else:
        await _send_pieces(send, answer.body)


async def _joined(pieces: Iterator[bytes]) -> bytes:
    made = []
    for piece in pieces:
        made.append(piece)
        await asyncio.sleep(0)  # as below
    return b"".join(made)


async def _send_pieces(send: Send, pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)  # to make a piece takes milliseconds, and others are waiting
    await send({"type": "http.response.body"})


_SERVER_TIMING = b", ".join(b"%s;dur=%%.3f" % stage.encode() for stage in metrics.STAGES)
