"""How a request is refused: the status, the reason that is counted, and the sentence that says what to do."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Reason = Literal[
    "malformed",
    "media_type",
    "too_many_bytes",
    "too_many_images",
    "slow_body",
    "queue_full",
    "deadline_exceeded",
    "draining",
    "client_left",
    "not_found",
    "method",
    "unauthenticated",
    "internal",
]

# The status that nginx gives to a client that left before it was answered. It is sent although nobody hears it:
# BentoML's timeout waits for the first byte of an answer, and a shutdown would wait for that.
CLIENT_LEFT = 499


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, reason: Reason, sentence: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason: Reason = reason
        self.headers = headers


def too_many_requests(what_waits: str) -> ApiError:
    """Return the refusal of a request that came when there was no room for it."""
    sentence = f"{what_waits}; send again in a second, or to another replica."
    return ApiError(429, "queue_full", sentence, {"Retry-After": "1"})


def too_many_images(received: str, max_images: int) -> ApiError:
    """Return the error of more than `max_images` images; `received` says how many, as "1,025 images"."""
    return ApiError(413, "too_many_images", f"{received} received; send at most {max_images:,} images in one request.")
