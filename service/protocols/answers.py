"""Answers to bytes: what an answer says, in which form, and the evidence for it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models.digits import MAX_PIXEL
from service.protocols.accept import preferred
from service.protocols.media_types import BYTES, JSON

RESPONSE_TYPES = (JSON, BYTES)


class Evidence(BaseModel):
    """Why an image was given its digit: `bias` and the sum of `pixels` are `logit`."""

    digit: int
    logit: float = Field(description="the score of the digit answered, before softmax")
    bias: float
    pixels: list[float] = Field(description="what each of the 784 pixels added to the logit")


class PredictionResponse(BaseModel):
    """The digit that each image shows, in the order of the images."""

    model: str = Field(description="tag of the version that computed the answer")
    digits: list[int] = Field(description="the digit of the highest probability, for each image")
    hint: str | None = Field(default=None, description="what looks mistaken about the images, where something does")
    probabilities: list[list[float]] = Field(description="ten for each image, one a digit, adding up to 1")
    evidence: list[Evidence] | None = Field(default=None, description="with ?explain=true, for each image")


class ErrorResponse(BaseModel):
    """Every error."""

    error: str = Field(description="what came, what was expected, how to fix it")


def answer_type(accept: str) -> str:
    """Return the media type to answer with."""
    return preferred(accept, RESPONSE_TYPES)


@dataclass(frozen=True, slots=True)
class Explanation:
    """For N answers: `digits` and their `logits` and `biases`, each (N,), and `pixels` (N, 784), all float32."""

    digits: NDArray[np.intp]
    logits: NDArray[np.float32]
    biases: NDArray[np.float32]
    pixels: NDArray[np.float32]


def explain(
    images: NDArray[np.float32], digits: NDArray[np.intp], weights: NDArray[np.float32], biases: NDArray[np.float32]
) -> Explanation:
    """Say what each pixel of `images` (N, 784) adds to the logit of its digit, for weights (784, 10) and biases (10,)."""
    pixels = images / np.float32(MAX_PIXEL) * weights.T[digits]
    return Explanation(digits, pixels.sum(axis=1, dtype=np.float64).astype(np.float32) + biases[digits], biases[digits], pixels)


def encode_json(
    tag: str,
    digits: NDArray[np.intp],
    probabilities: NDArray[np.float32],
    hint: str | None,
    explanation: Explanation | None = None,
) -> bytes:
    """Return the JSON of a `PredictionResponse` for digits of shape (N,) and probabilities of shape (N, 10)."""
    answer: dict[str, Any] = {"model": tag, "digits": digits, "probabilities": probabilities}
    if hint:
        answer["hint"] = hint
    if explanation:
        answer["evidence"] = [
            {"digit": digit, "logit": logit, "bias": bias, "pixels": pixels}
            for digit, logit, bias, pixels in zip(
                explanation.digits, explanation.logits, explanation.biases, explanation.pixels, strict=True
            )
        ]
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_bytes(probabilities: NDArray[np.float32]) -> bytes:
    """Return probabilities of shape (N, 10) as N × 10 little-endian float32."""
    return probabilities.astype("<f4", copy=False).tobytes()


def encode_error(sentence: str) -> bytes:
    """Return the JSON of an `ErrorResponse`."""
    return orjson.dumps({"error": sentence})
