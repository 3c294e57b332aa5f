"""The classifier: raw pixels, scaled, through one dense layer."""

from typing import Literal

import keras
import numpy as np

from models.digits import MAX_PIXEL, NUM_CLASSES, NUM_PIXELS


def build_softmax_classifier(activation: Literal["softmax", "linear"] = "softmax") -> keras.Sequential:
    """Build the model: pixels of shape (N, 784), 0 to 255, in; (N, 10) float32 out; 7,850 trainable parameters.

    With `activation="linear"` it answers logits. Training needs them, since cross-entropy is exact and finite only
    from logits (https://www.tensorflow.org/api_docs/python/tf/nn/softmax_cross_entropy_with_logits); the weights of
    one fit the other.
    """
    return keras.Sequential(
        [
            keras.Input((NUM_PIXELS,), name="pixels"),
            # The only place that scales pixels: it is exported with the weights, so serving cannot forget it.
            keras.layers.Rescaling(1 / MAX_PIXEL),
            keras.layers.Dense(NUM_CLASSES, activation=activation),
        ],
        name="softmax_classifier",
    )


# One float32 sum over 784 pixels strays: LiteRT, which adds them one after the other, came up to 3.4e-6 away from Keras,
# and the same in four shorter sums 1.4e-6 (docs/performance.md, "Parity").
_PARTS_OF_THE_SUM = 4


def with_sum_in_parts(classifier: keras.Sequential) -> keras.Model:
    """Return the function of a `classifier` with softmax, its scaling and its weights, but its sum over pixels in four."""
    scale, dense = classifier.layers
    kernel, bias = dense.get_weights()
    pixels = keras.Input((NUM_PIXELS,), name="pixels")
    parts = keras.ops.split(scale(pixels), _PARTS_OF_THE_SUM, axis=1)
    sums = []
    for part, weights in zip(parts, np.split(kernel, _PARTS_OF_THE_SUM), strict=True):  # pyright: ignore[reportArgumentType]: split returns a list
        layer = keras.layers.Dense(NUM_CLASSES, use_bias=not sums)
        sums.append(layer(part))
        layer.set_weights([weights, bias] if layer.use_bias else [weights])
    return keras.Model(pixels, keras.layers.Softmax()(keras.layers.Add()(sums)), name=classifier.name)
