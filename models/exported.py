"""The exported graphs as functions: pixels in, probabilities out."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
Probabilities = NDArray[np.float32]
Graph = Callable[[Pixels], Probabilities]
"""Takes float32 pixels of shape (N, 784), 0 to 255; returns float32 probabilities of shape (N, 10)."""


@contextmanager
def native_chatter_held_back() -> Iterator[None]:
    """Hold back what C++ libraries write to file descriptor 2, and let it out only if the block fails.

    TensorFlow and LiteRT greet there in a format of their own, whatever their log levels say.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:  # not what ends the program: for Ctrl-C and exit the chatter is no reason
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def load_litert(path: Path) -> Graph:
    """Load a LiteRT file for one CPU thread. The function may be used by one thread at a time."""
    from ai_edge_litert.interpreter import Interpreter

    with native_chatter_held_back():
        interpreter = Interpreter(model_content=path.read_bytes(), num_threads=1)
        interpreter.allocate_tensors()
    pixels, probabilities = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    allocated = 1

    def run(images: Pixels) -> Probabilities:
        nonlocal allocated
        if len(images) != allocated:
            interpreter.resize_tensor_input(pixels, images.shape)
            interpreter.allocate_tensors()
            allocated = len(images)
        interpreter.set_tensor(pixels, images)
        interpreter.invoke()
        return interpreter.get_tensor(probabilities)

    return run


def load_saved_model(folder: Path) -> Graph:
    """Load a TensorFlow SavedModel onto the device that TensorFlow prefers; imports TensorFlow."""
    import tensorflow as tf

    # TF32 rounds the inputs of a matrix product to 10 bits of mantissa and moves answers by 3.6e-4.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    saved_model = tf.saved_model.load(str(folder))

    def run(images: Pixels) -> Probabilities:
        # `saved_model` is held here because the function alone does not keep its variables alive.
        return saved_model.serve(tf.constant(images)).numpy()

    return run
