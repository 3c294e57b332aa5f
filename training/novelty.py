"""How unlike the training digits an image is: fitted here, and part of the exported graphs.

The score is the squared length of an image, pooled to 14×14, over that of its part in the nearest of ten subspaces, one for
each digit: the eight directions in which most of the training images of that digit lies (CLAFIC, Watanabe 1967). It is 1 for
an image inside one of them, higher the less of it any of them holds, and the same at every contrast.
"""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.card import Novelty
from models.digits import IMAGE_SHAPE, NUM_CLASSES, NUM_PIXELS
from training.data import Split

_HEIGHT, _WIDTH = (side // 2 for side in IMAGE_SHAPE)
_COMPONENTS = 8
_KNOTS = 64
# Of a black image nothing is held: it gets the score of the strangest there are.
_LEAST_HELD = 1e-3


def fit_subspaces(train: Split) -> NDArray[np.float64]:
    """Return orthonormal directions (10, 8, 196) among pooled images, eight for the training images of each digit."""
    return np.array([_main_directions(train.images[train.labels == digit]) for digit in range(NUM_CLASSES)])


def _main_directions(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    pooled = images.reshape(-1, _HEIGHT, 2, _WIDTH, 2).mean(axis=(2, 4)).reshape(-1, _HEIGHT * _WIDTH)
    directions = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1)  # not 0 where an image is black
    return np.linalg.eigh(directions.T @ directions)[1][:, -_COMPONENTS:].T


class NoveltyScore(keras.layers.Layer):
    """Pixels of shape (N, 784), 0 to 255, in; their scores, float32 (N,), out.

    It pools and adds up by matrix products, which LiteRT computes at a third to a tenth of the cost of other ways.
    """

    def __init__(self, subspaces: NDArray[np.float64]) -> None:
        super().__init__()
        self._directions = np.float32(subspaces.reshape(-1, _HEIGHT * _WIDTH).T)
        two_columns_to_one = np.kron(np.eye(_WIDTH), np.ones((2, 1)))
        self._two_rows_to_one = np.float32(np.concatenate([two_columns_to_one, two_columns_to_one]) / 4)
        self._sum_by_digit = np.float32(np.kron(np.eye(NUM_CLASSES), np.ones((_COMPONENTS, 1))))
        self._sum = np.ones((_HEIGHT * _WIDTH, 1), np.float32)

    def call(self, pixels: Any) -> Any:
        """Return the scores of `pixels`."""
        means: Any = ops.matmul(ops.reshape(pixels, (-1, 2 * IMAGE_SHAPE[1])), self._two_rows_to_one)
        image: Any = ops.reshape(means, (-1, _HEIGHT * _WIDTH))
        coordinates: Any = ops.matmul(image, self._directions)
        held: Any = ops.max(ops.matmul(coordinates * coordinates, self._sum_by_digit), axis=1)
        length: Any = ops.reshape(ops.matmul(image * image, self._sum), (-1,))
        return (length + 1) / (held + _LEAST_HELD)


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
    return novelty.predict(images, batch_size=min(len(images), 10_000), verbose=0)  # pyright: ignore[reportArgumentType]: its default is "auto"


def fit_knots(scores: NDArray[np.float32]) -> Novelty:
    """Return what turns a score into the share of validation digits, of `scores` (N,), that look more usual.

    Half of the knots are in the last hundredth, since that is where an image is found unusual.
    """
    ordered = np.sort(scores.astype(np.float64))
    usual, unusual = np.linspace(0, 0.99, _KNOTS // 2, endpoint=False), np.linspace(0.99, 1, _KNOTS // 2)
    shares = np.concatenate([usual, unusual])
    knots = dict(zip(np.quantile(ordered, shares).tolist(), shares.tolist(), strict=True))  # of equal scores, the last
    return Novelty(knots=tuple(knots.items()))
