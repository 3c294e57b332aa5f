"""`POST /predict` as one plain ASGI callable: read, decode, compute, encode, send."""

import asyncio

import numpy as np
from numpy.typing import NDArray
from starlette.types import Receive, Scope, Send

from models.digits import hint_about
from service import metrics, wire
from service.catalog import Catalog, Version
from service.settings import Settings
from service.wire import Refusal


class PredictEndpoint:
    """Answers digits. Whatever it refuses, it raises as a `Refusal`, for the door to word."""

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self._catalog = catalog
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        wire.reader_for(content_type)  # a type that cannot be read is refused before its body is
        body = await self._complete_body(receive, int(headers.get(b"content-length", 0)))
        version = self._catalog.served
        images = wire.decode(content_type, body)
        if len(images) > self._settings.max_images:
            raise Refusal(413, f"{len(images):,} images came; send at most {self._settings.max_images:,} in one request.")
        digits, probabilities = answer_for(version, images)
        answer = wire.encode_answer(version.tag, digits, probabilities, hint_about(images))
        await _send_json(send, answer, version.card.version)

    async def _complete_body(self, receive: Receive, announced_bytes: int) -> bytes:
        self._check_size(announced_bytes)
        seconds = self._settings.request_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._body(receive)
        except TimeoutError:
            raise Refusal(
                408, f"the body was not complete after {seconds:g} s; send it faster or in smaller requests."
            ) from None

    async def _body(self, receive: Receive) -> bytes:
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal(metrics.CLIENT_LEFT, "the client left before its body was complete.")
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            self._check_size(size)
            more = message.get("more_body", False)
        return b"".join(chunks)

    def _check_size(self, size: int) -> None:
        limit = self._settings.max_body_bytes
        if size > limit:
            raise Refusal(413, f"the body has {size:,} bytes or more; send at most {limit:,}, in several requests.")


def answer_for(version: Version, images: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Compute and count the digits (N,) and probabilities (N, 10) of checked `images` (N, 784)."""
    probabilities = version.engine.run(images)
    digits = probabilities.argmax(axis=1)
    metrics.BATCH_SIZE.observe(len(images))
    metrics.count_answers(digits, probabilities.max(axis=1))
    return digits, probabilities


async def _send_json(send: Send, body: bytes, model_version: str) -> None:
    headers = [
        (b"content-type", wire.JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-model-version", model_version.encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
