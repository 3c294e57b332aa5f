"""`POST /predict`: images in any of the request formats, and the answer as JSON or as bytes."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models.digits import hint_about
from service.errors import ApiError
from service.inference.batcher import Answers
from service.inference.explanation import Explanation, Method
from service.inference.loaded_model import rounded
from service.inference.predictor import Explain, Pixels, Prediction
from service.protocols.accept import preferred
from service.protocols.media_types import BYTES, JSON, IsWanted, RequestFormat, decode, request_format
from service.protocols.protocol import Answer

RESPONSE_TYPES = (JSON, BYTES)

# Images with evidence, which take half a millisecond: all 1,024 would keep the event loop from everybody else for 32 ms.
_IMAGES_AT_ONCE = 16

# What the query may ask for, and what then stands in the answer.
_EXTRAS = MappingProxyType({"explain": "evidence", "seen": "pictures"})

Column = Callable[[slice], tuple[bytes, Any]]
"""Returns the JSON of a field's name, after that of fields before it, and its values for some of the images."""


class Evidence(BaseModel):
    """Why an image was given its digit. Of a linear model, `bias` and the sum of `pixels` are `logit`."""

    digit: int
    logit: float | None = Field(default=None, description="method linear: the score of the digit answered, before softmax")
    bias: float | None = Field(default=None, description="method linear: the part of `logit` that no pixel adds")
    log_odds: float | None = Field(default=None, description="method occlusion: log(p / (1 - p)) of the digit answered")
    pixels: list[float] = Field(description="what each of the 784 pixels adds to the logit, or to the log-odds")
    picture: list[float] | None = Field(
        default=None, description="the 784 pixels that `pixels` belong to, where the model brings the image into another form"
    )


class PredictionResponse(BaseModel):
    """The digit that each image shows, in the order of the images."""

    model: str = Field(description="tag of the version that computed the answer")
    digits: list[int] = Field(description="the digit of the highest probability, for each image")
    hint: str | None = Field(default=None, description="what looks mistaken about the images, where something does")
    probabilities: list[list[float]] = Field(description="ten for each image, one a digit, adding up to 1")
    novelty: list[float] | None = Field(
        default=None,
        description="for each image, the share of validation digits that look more usual: 0.5 is ordinary, 0.999 is stranger "
        "than 999 in 1,000; absent where the version was published without it",
    )
    accepted: list[bool] | None = Field(
        default=None, description="for each image, whether the model stands by its answer; absent where novelty is"
    )
    method: Method | None = Field(default=None, description="with ?explain=true, how the evidence was found")
    evidence: list[Evidence] | None = Field(default=None, description="with ?explain=true, for each image")
    seen: list[list[int]] | None = Field(
        default=None,
        description="with ?seen=true, the 784 pixels that the model was given for each image, rounded: of a picture what was "
        "made of it, and deskewed where the model does that",
    )
    before_deskewing: list[list[int]] | None = Field(
        default=None, description="with ?seen=true, of a model that deskews: the 784 pixels of each image before that, rounded"
    )


class ErrorResponse(BaseModel):
    """Every error."""

    error: str = Field(description="what was received, what was expected, how to fix it")


class NativeCall:
    """One request to `POST /predict`. Creating it refuses, as an `ApiError`, all that can be refused without the body."""

    def __init__(self, headers: Mapping[bytes, bytes], query: bytes, parameters: Mapping[str, str]) -> None:
        given = headers.get(b"content-type", b""), headers.get(b"accept", b""), query
        self._content_type, self._format, self._response_type, self._extras = _understood(*given)
        self.is_explained = "explain" in self._extras
        self.is_slow = self._format.is_slow
        # A binary answer has no room for it.
        self.wants_novelty = self._response_type != BYTES

    def decode(self, body: bytes, max_images: int, is_wanted: IsWanted) -> Pixels:
        """Return the images in `body`, (N, 784). Raises an `ApiError`, 400 or 413."""
        return decode(self._format, body, self._content_type, max_images, is_wanted)

    def encode(self, prediction: Prediction) -> Answer:
        if self._response_type == BYTES:
            return Answer(BYTES, encode_bytes(prediction.answers.probabilities))
        start = encode_prediction(prediction)
        columns = [_evidence_column(prediction.explain)] if prediction.explain else []
        if "seen" in self._extras:
            columns += _seen_columns(prediction)
        return Answer(JSON, _with_columns(start, columns, len(prediction.images)) if columns else start)


# Most clients send the same again and again; strange ones, of up to 64 KiB, are soon forgotten.
@lru_cache(maxsize=16)
def _understood(content_type: bytes, accept: bytes, query: bytes) -> tuple[str, RequestFormat, str, frozenset[str]]:
    """Return the Content-Type, its format, the media type to answer with, and what of `_EXTRAS` is wanted."""
    given = content_type.decode("latin-1")
    request, response_type = request_format(given), preferred(accept.decode("latin-1"), RESPONSE_TYPES)
    return given, request, response_type, _wanted_extras(query, response_type) if query else frozenset()


def _wanted_extras(query: bytes, response_type: str) -> frozenset[str]:
    given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    if len(dict(given)) < len(given):
        raise ApiError(400, "malformed", "the query has a word more than once; send ?explain=true, ?seen=true, or no query.")
    for name, choice in given:
        _check_choice(name[:40], choice[:40], response_type)
    return frozenset(name for name, choice in given if choice == "true")


def _check_choice(name: str, choice: str, response_type: str) -> None:
    if name not in _EXTRAS:
        sentence = f"the query has {name!r}, which is not known; send ?explain=true, ?seen=true, or no query."
        raise ApiError(400, "malformed", sentence)
    if choice not in ("true", "false"):
        raise ApiError(400, "malformed", f"{name} is {choice!r}; send ?{name}=true, or leave it out.")
    if choice == "true" and response_type == BYTES:
        sentence = f"{name}=true was sent with Accept: {BYTES}, which has no room for {_EXTRAS[name]}; accept {JSON}."
        raise ApiError(400, "malformed", sentence)


def encode_prediction(prediction: Prediction) -> bytes:
    """Return `prediction` as the JSON of a `PredictionResponse`, without what the query may ask for."""
    return encode_json(prediction.model.tag, prediction.answers, hint_about(prediction.images))


def encode_json(tag: str, answers: Answers, hint: str | None) -> bytes:
    """Return the JSON of a `PredictionResponse` for some answers, without evidence."""
    answer: dict[str, Any] = {"model": tag, "digits": answers.digits, "probabilities": answers.probabilities}
    if answers.novelty is not None:
        answer |= {"novelty": answers.novelty, "accepted": answers.accepted}
    if hint:
        answer["hint"] = hint
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _with_columns(start: bytes, columns: list[Column], num_images: int) -> Iterator[bytes]:
    """Yield `start` with the `columns` appended, in pieces of at most about 150 KB."""
    opening = start[:-1]
    for column in columns:
        for first in range(0, num_images, _IMAGES_AT_ONCE):
            name, values = column(slice(first, first + _IMAGES_AT_ONCE))
            separator = b"," if first else opening + b"," + name + b":["
            yield separator + orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
        opening = b"]"
    yield b"]}"


def _seen_columns(prediction: Prediction) -> list[Column]:
    model, images = prediction.model, prediction.images
    columns: list[Column] = [lambda rows: (b'"seen"', model.seen(images[rows]))]
    if "deskewed_evidence" in model.card.capabilities:
        columns.append(lambda rows: (b'"before_deskewing"', rounded(images[rows])))
    return columns


def _evidence_column(explain: Explain) -> Column:
    def evidence(rows: slice) -> tuple[bytes, Any]:
        explanation = explain(rows)
        return b'"method":"%s","evidence"' % explanation.method.encode(), _evidence(explanation)

    return evidence


def _evidence(explanation: Explanation) -> list[dict[str, Any]]:
    columns = {
        "digit": explanation.digits,
        "logit" if explanation.method == "linear" else "log_odds": explanation.scores,
        "bias": explanation.biases,
        "pixels": explanation.pixels,
        "picture": explanation.pictures,
    }
    there = {name: column for name, column in columns.items() if column is not None}
    return [dict(zip(there, row, strict=True)) for row in zip(*there.values(), strict=True)]


def encode_bytes(probabilities: NDArray[np.float32]) -> bytes:
    """Return probabilities of shape (N, 10) as N × 10 little-endian float32."""
    return probabilities.astype("<f4", copy=False).tobytes()


def encode_error(sentence: str) -> bytes:
    """Return the JSON of an `ErrorResponse`."""
    return orjson.dumps({"error": sentence})
