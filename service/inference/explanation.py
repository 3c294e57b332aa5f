"""Why an image was given its digit: what each of its pixels added to the score of that digit."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.digits import IMAGE_SHAPE, MAX_PIXEL, NUM_PIXELS

Pixels = NDArray[np.float32]

Method = Literal["linear", "occlusion"]
"""`linear`: exact, the score is a logit, and `biases` and the sum of `pixels` are it. `occlusion`: how much the log-odds of
the digit fall where ink is taken away, shared out among the pixels taken away."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """For N answers: `digits`, their `scores` and, of a linear model, `biases`, each (N,); `pixels` (N, 784); all float32.

    `pictures` (N, 784) are what `pixels` belong to, where that is not the images as they were received.
    """

    method: Method
    digits: NDArray[np.intp]
    scores: NDArray[np.float32]
    pixels: Pixels
    biases: NDArray[np.float32] | None = None
    pictures: Pixels | None = None

    def part(self, rows: slice) -> "Explanation":
        """Return what explains some of the answers, of an explanation without biases and pictures."""
        return Explanation(self.method, self.digits[rows], self.scores[rows], self.pixels[rows])


@dataclass(frozen=True, slots=True)
class LinearExplainer:
    """What the logits of a linear model are made of: scaled pixels · `weights` (784, 10) + `biases` (10,), float32.

    The pixels are those that `prepare` makes of the images received, (N, 784) both; None where they are the same.
    """

    weights: NDArray[np.float32]
    biases: NDArray[np.float32]
    prepare: Callable[[Pixels], Pixels] | None = None

    def prepared(self, images: Pixels) -> Pixels:
        """Return the pixels (N, 784) that the weights are multiplied with."""
        return self.prepare(images) if self.prepare else images

    def probabilities(self, images: Pixels) -> NDArray[np.float32]:
        """Return the probabilities (N, 10) of `images` (N, 784) that follow from the weights."""
        logits = self.prepared(images) / np.float32(MAX_PIXEL) @ self.weights + self.biases
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def explain(self, images: Pixels, digits: NDArray[np.intp]) -> Explanation:
        """Return what each pixel of `images` (N, 784) adds to the logit of its digit."""
        pictures = self.prepare(images) if self.prepare else None
        biases = self.biases[digits]
        pixels = (images if pictures is None else pictures) / np.float32(MAX_PIXEL) * self.weights.T[digits]
        logits = pixels.sum(axis=1, dtype=np.float64).astype(np.float32) + biases
        return Explanation("linear", digits, logits, pixels, biases, pictures)


# Chosen by deletion, see docs/api.md, "Evidence".
_PATCH, _STRIDE = 4, 2

Compute = Callable[[Pixels], Awaitable[NDArray[np.float32]]]
"""Takes images (N, 784) and returns their probabilities (N, 10)."""


async def occlude(images: Pixels, digits: NDArray[np.intp], compute: Compute) -> Explanation:
    """Return how much each pixel of `images` (N, 784) supports its digit: by taking away ink, patch by patch."""
    each = [await _occluded(image, digit, compute) for image, digit in zip(images, digits, strict=True)]
    scores, pixels = zip(*each, strict=True)
    return Explanation("occlusion", digits, np.array(scores, np.float32), np.stack(pixels))


async def _occluded(image: Pixels, digit: np.intp, compute: Compute) -> tuple[np.float32, Pixels]:
    masks = _MASKS[(image > 0) @ _MASKS.T > 0]  # a patch without ink takes nothing away
    odds = _log_odds(await compute(np.concatenate([image[np.newaxis], image * ~masks])), digit)
    falls = odds[0] - odds[1:]
    # Each patch shares its fall out among its pixels by their ink; a pixel has the mean of the patches that it is in.
    ink = image * masks
    shares = ink / ink.sum(axis=1, keepdims=True)
    covered = np.maximum(masks.sum(axis=0), 1)
    return odds[0], (falls @ shares / covered).astype(np.float32)


def _log_odds(probabilities: NDArray[np.float32], digit: np.intp) -> NDArray[np.float32]:
    """Return log(p / (1 - p)) of `digit`, (N,): unlike log p it tells 0.999 from 0.99999."""
    tiny = np.finfo(np.float32).tiny
    others = np.delete(probabilities, digit, axis=1).sum(axis=1)  # exact, where 1 - p would be rounded
    return np.log(np.maximum(probabilities[:, digit], tiny)) - np.log(np.maximum(others, tiny))


def _patches() -> Iterator[NDArray[np.bool_]]:
    height, width = IMAGE_SHAPE
    for top in range(0, height - _PATCH + 1, _STRIDE):
        for left in range(0, width - _PATCH + 1, _STRIDE):
            mask = np.zeros(IMAGE_SHAPE, bool)
            mask[top : top + _PATCH, left : left + _PATCH] = True
            yield mask.reshape(NUM_PIXELS)


_MASKS = np.stack(list(_patches()))
