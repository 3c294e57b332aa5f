"""How unlike the training digits an image is: fitted here, and part of the exported graphs.

The score is the share of an image, pooled to 14×14, that is missed by the nearest of ten subspaces, one for each digit: the
directions in which most of its training images lies (CLAFIC, Watanabe 1967: a principal component analysis about black).
It hardly depends on the contrast.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.card import Novelty
from models.digits import IMAGE_SHAPE, NUM_CLASSES, NUM_PIXELS
from models.exported import IMAGES_A_CALL
from training.data import Split

_HEIGHT, _WIDTH = (side // 2 for side in IMAGE_SHAPE)
_COMPONENTS = 16
_KNOTS = 64
_LEAST_MISSED = 1e-6  # of a digit with fewer training images than directions, nothing is missed


@dataclass(frozen=True)
class Subspaces:
    """For each digit, `directions` (10, 16, 196), orthonormal, among pooled images, and the `weights` (10,) of what they miss.

    The images of some digits differ less from each other than those of others, so what a subspace misses is weighted by
    the root of what it misses of its own training images.
    """

    directions: NDArray[np.float64]
    weights: NDArray[np.float64]


def fit_subspaces(train: Split) -> Subspaces:
    """Fit the subspace of each digit to its training images."""
    spectra = [np.linalg.eigh(_scatter(train.images[train.labels == digit])) for digit in range(NUM_CLASSES)]
    missed = np.array([eigenvalues[:-_COMPONENTS].sum() for eigenvalues, _ in spectra])
    weights = 1 / np.sqrt(np.maximum(missed, _LEAST_MISSED))
    return Subspaces(np.array([vectors[:, -_COMPONENTS:].T for _, vectors in spectra]), weights / weights.mean())


def _scatter(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    pooled = images.reshape(-1, _HEIGHT, 2, _WIDTH, 2).mean(axis=(2, 4)).reshape(-1, _HEIGHT * _WIDTH)
    units = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1)  # not 0 where an image is black
    return units.T @ units / max(len(units), 1)


class NoveltyScore(keras.layers.Layer):
    """Pixels of shape (N, 784), 0 to 255, in; their scores, float32 (N,), out.

    It pools and adds up by matrix products, which LiteRT computes at a third to a tenth of the cost of other ways.
    """

    def __init__(self, subspaces: Subspaces) -> None:
        super().__init__()
        two_columns_to_one = np.kron(np.eye(_WIDTH), np.ones((2, 1)))
        self._two_rows_to_one = np.float32(np.concatenate([two_columns_to_one, two_columns_to_one]) / 4)
        self._directions = np.float32(subspaces.directions.reshape(-1, _HEIGHT * _WIDTH).T)
        self._weighted_sums = np.float32(np.kron(np.diag(subspaces.weights), np.ones((_COMPONENTS, 1))))
        self._sum = np.ones((_HEIGHT * _WIDTH, 1), np.float32)
        # The one keeps the rounding, which is relative to it, small beside the score.
        self._one_and_weights = np.float32(1 + subspaces.weights)

    def call(self, pixels: Any) -> Any:
        """Return the scores of `pixels`."""
        means: Any = ops.matmul(ops.reshape(pixels, (-1, 2 * IMAGE_SHAPE[1])), self._two_rows_to_one)
        image: Any = ops.reshape(means, (-1, _HEIGHT * _WIDTH))
        along: Any = ops.matmul(image, self._directions)
        length: Any = ops.matmul(image * image, self._sum)
        held: Any = ops.matmul(along * along, self._weighted_sums) / (length + 1)  # 0 of an image that is black
        return ops.min(self._one_and_weights - held, axis=1)


def novelty_model(train: Split) -> keras.Model:
    """Fit the subspaces to `train`, and return the model from pixels (N, 784), 0 to 255, to scores, float32 (N,)."""
    pixels = keras.Input((NUM_PIXELS,), name="pixels")
    return keras.Model(pixels, NoveltyScore(fit_subspaces(train))(pixels), name="novelty")


def with_novelty(classifier: keras.Model, novelty: keras.Model) -> keras.Model:
    """Return the model with the probabilities of `classifier` and the scores of `novelty`, under these two names."""
    pixels = keras.Input((NUM_PIXELS,), name="pixels")
    return keras.Model(pixels, {"probabilities": classifier(pixels), "novelty": novelty(pixels)}, name=classifier.name)


def scores_of(novelty: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what Keras computes for uint8 `images` of shape (N, 784): novelty scores, float32 (N,)."""
    return novelty.predict(images, batch_size=IMAGES_A_CALL, verbose=0)  # pyright: ignore[reportArgumentType]: its default is "auto"


def fit_knots(scores: NDArray[np.float32]) -> Novelty:
    """Return what turns a score into the share of validation digits, of `scores` (N,), that look more usual.

    Half of the knots are in the last hundredth, since that is where an image is found unusual.
    """
    ordered = np.sort(scores.astype(np.float64))
    usual, unusual = np.linspace(0, 0.99, _KNOTS // 2, endpoint=False), np.linspace(0.99, 1, _KNOTS // 2)
    shares = np.concatenate([usual, unusual])
    knots = dict(zip(np.quantile(ordered, shares).tolist(), shares.tolist(), strict=True))  # of equal scores, the last
    return Novelty(knots=tuple(knots.items()))
