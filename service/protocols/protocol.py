"""What a protocol is to the server: from headers and body to images, and from a `Prediction` to headers and body."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from service.inference.predictor import Pixels, Prediction
from service.protocols.media_types import IsWanted


@dataclass(slots=True)
class Answer:
    """The body of an answer, whole or, where it may be large, in pieces; headers beside those that every answer has."""

    media_type: str
    body: bytes | Iterator[bytes]
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Call(Protocol):
    """One request whose headers are accepted, and whose body is not read yet.

    `is_slow`: decoding may take longer than the event loop should be kept, and runs in a thread. `wants_novelty` and
    `is_explained`: what the answer is to have beside digits and probabilities.
    """

    is_slow: bool
    wants_novelty: bool
    is_explained: bool

    def decode(self, body: bytes, max_images: int, is_wanted: IsWanted) -> Pixels:
        """Return the images in `body`, checked, of shape (N, 784).

        Raises:
            ApiError: 400 for a body that is not what it should be, 413 for more than `max_images`.
        """
        ...

    def encode(self, prediction: Prediction) -> Answer: ...


OpenCall = Callable[[Mapping[bytes, bytes], bytes, Mapping[str, str]], Call]
"""Takes a request's headers, its query and the parameters in its path; raises `ApiError` for what is refused unread."""
