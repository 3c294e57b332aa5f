"""A Keras model as the LiteRT graph that its publication makes of it."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from models.card import LITERT_FILE
from models.exported import load_litert, native_chatter_held_back

OneOutput = Callable[[np.ndarray], np.ndarray]


def exported_to_litert(model: keras.Model, folder: Path) -> OneOutput:
    """Export `model`, which has one output, into `folder` and load it."""
    with native_chatter_held_back():
        model.export(folder / LITERT_FILE, format="litert", verbose=False)
    run = load_litert(folder)
    return lambda images: run(images, False).probabilities
