"""A Keras model as the LiteRT graph that its publication makes of it."""

from pathlib import Path

import keras

from models.exported import Graph, load_litert, native_chatter_held_back


def exported_to_litert(model: keras.Model, folder: Path) -> Graph:
    """Export `model` into `folder` and load it."""
    with native_chatter_held_back():
        model.export(folder / "model.tflite", format="litert", verbose=False)
    return load_litert(folder / "model.tflite")
