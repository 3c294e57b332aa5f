"""What is asked: forms of a body, numbers of images, connections; the bodies are made of MNIST's test digits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from models.digits import IMAGE_SHAPE

Images = NDArray[np.uint8]
"""Pixels of shape (N, 784)."""


@dataclass(frozen=True)
class Form:
    """A way to write images into a body, and the media type asked for in return."""

    name: str
    content_type: str
    accept: str
    encode: Callable[[Images], bytes]


def _as_json(images: NDArray[np.uint8]) -> bytes:
    return orjson.dumps({"images": images.tolist()})


def _as_square_json(images: Images) -> bytes:
    return _as_json(images.reshape(-1, *IMAGE_SHAPE))


JSON = Form("JSON", "application/json", "application/json", _as_json)
SQUARE_JSON = Form("JSON 28×28", "application/json", "application/json", _as_square_json)
RAW = Form("raw bytes", "application/octet-stream", "application/octet-stream", np.ndarray.tobytes)
FORMS = (JSON, SQUARE_JSON, RAW)


@dataclass(frozen=True)
class Scenario:
    """One load: bodies of `num_images` images in one form, over as many connections as `connections`."""

    form: Form
    num_images: int
    connections: int

    def __str__(self) -> str:
        images = "1 image" if self.num_images == 1 else f"{self.num_images:,} images"
        connections = "1 connection" if self.connections == 1 else f"{self.connections} connections"
        return f"{images}, {self.form.name}, {connections}"


LOADS = ((1, 1), (1, 16), (64, 4), (1024, 2))
MAX_IMAGES = max(num_images for num_images, _ in LOADS)


def all_scenarios() -> Iterable[Scenario]:
    """Return every load in every form."""
    return [Scenario(form, *load) for load in LOADS for form in FORMS]
