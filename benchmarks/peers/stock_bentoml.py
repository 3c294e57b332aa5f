"""Peer: BentoML with adaptive batching, an array as input and the Keras model called as Keras advises for small batches."""

import bentoml
import keras
import numpy as np


@bentoml.service
class StockClassifier:
    """The model of the store behind one batchable API."""

    model_ref = bentoml.models.BentoModel("digit-classifier:latest")

    def __init__(self) -> None:
        self.model = keras.saving.load_model(self.model_ref.path_of("model.keras"), compile=False)

    # The default, 100, would refuse the requests of 1,024 images.
    @bentoml.api(batchable=True, max_batch_size=1024)
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities (N, 10) of pixels (N, 784)."""
        return self.model(images, training=False).numpy()
