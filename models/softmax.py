"""The classifier: raw pixels, scaled, through one dense layer."""

from typing import Literal

import keras

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
