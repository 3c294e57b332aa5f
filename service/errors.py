"""What an error answers: the status, the reason that is counted, and the sentence that says what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Literal, get_args

from bentoml.exceptions import BentoMLException

Reason = Literal[
    "malformed",
    "media_type",
    "too_many_bytes",
    "too_many_images",
    "slow_body",
    "queue_full",
    "deadline_exceeded",
    "draining",
    "engine_silent",
    "client_left",
    "not_found",
    "method",
    "unauthenticated",
    "internal",
]
REASONS: tuple[Reason, ...] = get_args(Reason)

LoadFailure = Literal["missing", "incomplete", "changed", "shape", "golden", "internal"]
"""Why a version is not served: not in the store, without a card of its own, other files than the card says, arrays of
another shape, other answers than were published, or a runtime that cannot load it."""
LOAD_FAILURES: tuple[LoadFailure, ...] = get_args(LoadFailure)

# The status that nginx gives to a client that left before it was answered. It is sent although nobody receives it:
# BentoML's timeout waits for the first byte of an answer, and a shutdown would wait for that.
CLIENT_LEFT = 499


class ApiError(BentoMLException):
    """A request that is answered with an error. BentoML, where it is the one that called, answers with its sentence too."""

    def __init__(self, status: int, reason: Reason, sentence: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(sentence)
        self.error_code = HTTPStatus.BAD_REQUEST if status == CLIENT_LEFT else HTTPStatus(status)
        self.status = status
        self.reason: Reason = reason
        self.headers = headers


def too_many_requests(full: str, retry_seconds: int) -> ApiError:
    """Return the error of a request for which there is no room; `full` says what is full, as "the queue is full"."""
    return to_retry(429, "queue_full", f"Overloaded: {full}; retry after", retry_seconds)


def unavailable(reason: Reason, sentence: str, retry_seconds: int) -> ApiError:
    """Return the error of a worker that does not serve; `sentence` says why, and what else to do than to wait."""
    return to_retry(503, reason, f"{sentence}, or retry after", retry_seconds)


def too_many_images(received: str, max_images: int) -> ApiError:
    """Return the error of more than `max_images` images; `received` says how many, as "1,025 images"."""
    return ApiError(413, "too_many_images", f"{received} received; send at most {max_images:,} images in one request.")


def deadline_exceeded(seconds: float, retry_seconds: int) -> ApiError:
    """Return the error of a request that was not answered within `seconds`."""
    sentence = f"there was no answer within {seconds:g} s; send fewer images at a time, or retry after"
    return to_retry(504, "deadline_exceeded", sentence, retry_seconds)


def to_retry(status: int, reason: Reason, sentence: str, seconds: int) -> ApiError:
    """Return an error whose `sentence`, completed with `seconds`, and whose header say when to send the request again."""
    return ApiError(status, reason, f"{sentence} {seconds} s.", {"Retry-After": str(seconds)})
