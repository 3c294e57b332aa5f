"""The exported graphs as functions: pixels in, probabilities and novelty scores out."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.card import DESKEW_FILE, LITERT_FILE, LITERT_WITH_NOVELTY_FILE, SAVED_MODEL_FOLDER

Pixels = NDArray[np.float32]


class Outputs(NamedTuple):
    """For N images: `probabilities`, float32 (N, 10), and `novelty` scores, float32 (N,), or None where there are none."""

    probabilities: NDArray[np.float32]
    novelty: NDArray[np.float32] | None = None


Graph = Callable[[Pixels, bool], Outputs]
"""Takes float32 pixels of shape (N, 784), 0 to 255, and whether to compute the novelty scores.

A version that was published without them has none, whatever is asked for.
"""


IMAGES_A_CALL = 1000
"""So many of many images are computed at once: between two layers of `conv`, ten times as many take a gigabyte."""


def answer_in_parts(graph: Graph, pixels: Pixels, with_novelty: bool) -> Outputs:
    """Return what `graph` answers to `pixels` (N, 784), of any number of images."""
    parts = [graph(pixels[start : start + IMAGES_A_CALL], with_novelty) for start in range(0, len(pixels), IMAGES_A_CALL)]
    scores = [part.novelty for part in parts if with_novelty and part.novelty is not None]
    return Outputs(np.concatenate([part.probabilities for part in parts]), np.concatenate(scores) if scores else None)


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


def load_litert(folder: Path) -> Graph:
    """Load the LiteRT files in `folder` for one CPU thread. The function may be used by one thread at a time."""
    probabilities_alone = _interpreted(folder / LITERT_FILE)
    path = folder / LITERT_WITH_NOVELTY_FILE
    with_both = _interpreted(path) if path.exists() else probabilities_alone

    def run(images: Pixels, with_novelty: bool) -> Outputs:
        return Outputs(*(with_both if with_novelty else probabilities_alone)(images))

    return run


def _interpreted(path: Path) -> Callable[[Pixels], list[NDArray[np.float32]]]:
    from ai_edge_litert.interpreter import Interpreter

    with native_chatter_held_back():
        interpreter = Interpreter(model_content=path.read_bytes(), num_threads=1)
        interpreter.allocate_tensors()
    (pixels,) = (each["index"] for each in interpreter.get_input_details())
    # The converter orders the outputs as it likes; the probabilities are those of shape (N, 10), the scores (N,).
    outputs = sorted(interpreter.get_output_details(), key=lambda output: -len(output["shape"]))
    indices = [output["index"] for output in outputs]
    allocated = 1

    def run(images: Pixels) -> list[NDArray[np.float32]]:
        nonlocal allocated
        if len(images) != allocated:
            interpreter.resize_tensor_input(pixels, images.shape)
            interpreter.allocate_tensors()
            allocated = len(images)
        interpreter.set_tensor(pixels, images)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in indices]

    return run


def load_deskew(folder: Path) -> Callable[[Pixels], Pixels]:
    """Load what deskews pixels, float32 (N, 784) in and out, in `folder`. The function may be used by one thread at a time."""
    deskew = _interpreted(folder / DESKEW_FILE)
    return lambda images: deskew(images)[0]


def load_saved_model(folder: Path) -> Graph:
    """Load the TensorFlow SavedModel in `folder` onto the device that TensorFlow prefers; imports TensorFlow."""
    import tensorflow as tf

    # TF32 rounds the inputs of a matrix product to 10 bits of mantissa and moves answers by 3.6e-4.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    saved_model = tf.saved_model.load(str(folder / SAVED_MODEL_FOLDER))

    def run(images: Pixels, with_novelty: bool) -> Outputs:
        # `saved_model` is held here because the function alone does not keep its variables alive.
        served = saved_model.serve(tf.constant(images))
        if not isinstance(served, dict):  # published without novelty
            return Outputs(served.numpy(), None)
        return Outputs(served["probabilities"].numpy(), served["novelty"].numpy() if with_novelty else None)

    return run
