"""The published Keras model as a compiled TensorFlow function, for the peers that bring no way of their own to run one."""

import bentoml
import keras
import tensorflow as tf


def load_classifier():
    """Return a function from float32 pixels (N, 784) to probabilities (N, 10), both tensors."""
    model = keras.saving.load_model(bentoml.models.get("digit-classifier:latest").path_of("model.keras"), compile=False)

    @tf.function(input_signature=[tf.TensorSpec((None, 784), tf.float32)])
    def classify(images):
        return model(images, training=False)

    return classify
