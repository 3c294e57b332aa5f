"""The architectures: raw pixels in, scaled and prepared inside, logits out; and each as the classifier that is published."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from models.card import Architecture
from models.deskew import Deskew
from models.digits import IMAGE_SHAPE, MAX_PIXEL, NUM_CLASSES, NUM_PIXELS

# One float32 sum over 784 pixels strays: LiteRT, which adds them one after the other, came up to 3.4e-6 away from Keras,
# and the same in four shorter sums 1.4e-6 (docs/performance.md, "Parity").
_PARTS_OF_THE_SUM = 4


def build(architecture: Architecture) -> keras.Sequential:
    """Build a model that answers logits: pixels of shape (N, 784), 0 to 255, in; (N, 10) float32 out.

    Training needs logits, since cross-entropy is exact and finite only from them
    (https://www.tensorflow.org/api_docs/python/tf/nn/softmax_cross_entropy_with_logits).
    """
    # The only place that scales pixels: it is exported with the weights, so serving cannot forget it.
    layers: list[keras.Layer] = [keras.layers.Rescaling(1 / MAX_PIXEL)]
    if architecture == "deskew":
        layers.insert(0, Deskew())
    if architecture == "conv":
        layers += _convolutions()
    return _sequential([*layers, keras.layers.Dense(NUM_CLASSES)], f"{architecture}_classifier")


def _convolutions() -> Iterator[keras.Layer]:
    yield keras.layers.Reshape((*IMAGE_SHAPE, 1))
    for filters, padding, is_pooled in ((16, "same", True), (32, "same", True), (48, "same", False), (48, "valid", False)):
        yield keras.layers.Conv2D(filters, 3, padding=padding, use_bias=False)
        if is_pooled:  # before the normalisation, which then has a quarter of the numbers
            yield keras.layers.MaxPooling2D()
        # Without a scale of its own it multiplies by what is above 0, and so may be folded through the maximum.
        yield keras.layers.BatchNormalization(momentum=0.98, scale=False)
        yield keras.layers.ReLU()
    yield keras.layers.Flatten()


def with_softmax(model: keras.Sequential) -> keras.Sequential:
    """Return the classifier that answers probabilities where `model` answers logits, its batch normalisation folded.

    Its last two layers are the dense one and the softmax; it shares the layers of `model` that need no folding.
    """
    return _sequential([*_folded(model.layers), keras.layers.Softmax()], model.name)


def _folded(layers: Iterable[keras.Layer]) -> Iterator[keras.Layer]:
    norms = (layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization))
    for layer in layers:
        if isinstance(layer, keras.layers.Conv2D):
            yield _fold(layer, next(norms))
        elif not isinstance(layer, keras.layers.BatchNormalization):
            yield layer


def _fold(convolution: keras.layers.Conv2D, norm: keras.layers.BatchNormalization) -> keras.layers.Conv2D:
    """Return the convolution, with a bias, that computes what `convolution` and then `norm` do in inference."""
    folded = keras.layers.Conv2D.from_config(convolution.get_config() | {"use_bias": True})
    (kernel,), (shift, mean, variance) = convolution.get_weights(), norm.get_weights()
    folded.build((None, None, None, kernel.shape[2]))
    scale = 1 / np.sqrt(variance + norm.epsilon)
    folded.set_weights([kernel * scale, shift - mean * scale])
    return folded


def for_litert(classifier: keras.Sequential) -> keras.Model:
    """Return the function of a `classifier` of `with_softmax`, its layers and weights, but its last sums in four parts."""
    *before, dense, softmax = classifier.layers
    pixels = features = keras.Input((NUM_PIXELS,), name="pixels")
    for layer in before:
        features = layer(features)
    parts: Any = keras.ops.split(features, _PARTS_OF_THE_SUM, axis=1)
    kernel, bias = dense.get_weights()
    sums = []
    for part, weights in zip(parts, np.split(kernel, _PARTS_OF_THE_SUM), strict=True):
        layer = keras.layers.Dense(NUM_CLASSES, use_bias=not sums)
        sums.append(layer(part))
        layer.set_weights([weights, bias] if layer.use_bias else [weights])
    return keras.Model(pixels, softmax(keras.layers.Add()(sums)), name=classifier.name)


def build_deskew() -> keras.Sequential:
    """Build what comes first in `deskew`: pixels (N, 784), 0 to 255, in; the deskewed picture in the same form out."""
    return _sequential([Deskew()], "deskew")


def _sequential(layers: Iterable[keras.Layer], name: str) -> keras.Sequential:
    return keras.Sequential([keras.Input((NUM_PIXELS,), name="pixels"), *layers], name=name)
