"""How far LiteRT is from Keras on the 10,000 test digits, and what each way of computing costs.

Run with `python -m benchmarks.parity --seeds 20`; it prints a Markdown table. Times are of the first seed.
"""

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from models.architectures import for_litert
from models.exported import native_chatter_held_back
from training.data import read_mnist
from training.evaluate import probabilities_of
from training.fit import fit
from training.recipes import RECIPES

Graph = Callable[[np.ndarray], np.ndarray]

_SIZES = (1, 64, 1024)
_XNNPACK, _NO_DELEGATES = OpResolverType.BUILTIN, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
_WAYS: dict[str, tuple[Callable[[keras.Sequential], keras.Model], OpResolverType]] = {
    "one sum, XNNPACK": (lambda classifier: classifier, _XNNPACK),
    "one sum, no delegates": (lambda classifier: classifier, _NO_DELEGATES),
    "four sums, XNNPACK (published)": (for_litert, _XNNPACK),
}


def main() -> None:
    """Fit the baseline with every seed, export it in every way, and print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many, from 0 on (default: %(default)s)")
    data = read_mnist()
    images = data.test.images.astype(np.float32)
    from_keras, from_exact, times = {}, {}, {}
    for seed in range(parser.parse_args().seeds):
        classifier = fit(dataclasses.replace(RECIPES["baseline"], seed=seed), data.train, data.validation).classifier
        expected, exact = probabilities_of(classifier, data.test.images), _exact(classifier, images)
        graphs = {way: _graph(build(classifier), resolver) for way, (build, resolver) in _WAYS.items()}
        answers = {"Keras": expected} | {way: run(images) for way, run in graphs.items()}
        for way, answer in answers.items():
            from_keras.setdefault(way, []).append(np.abs(answer - expected).max())
            from_exact.setdefault(way, []).append(np.abs(answer - exact).max())
        if not times:
            times = {way: _cells(run, images) for way, run in graphs.items()}
    print("| | from Keras | from float64 | 1, 64, 1,024 images, µs | same bits in every batch |\n|---|---|---|---|---|")
    for way in from_keras:
        print(f"| {way} | {max(from_keras[way]):.2e} | {max(from_exact[way]):.2e} | {times.get(way, ' | ')} |")


def _exact(classifier: keras.Sequential, images: np.ndarray) -> np.ndarray:
    weights, biases = (each.astype(np.float64) for each in classifier.get_weights())
    logits = images.astype(np.float64) * classifier.layers[0].scale @ weights + biases
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _graph(model: keras.Model, resolver: OpResolverType) -> Graph:
    with tempfile.TemporaryDirectory() as folder, native_chatter_held_back():
        path = Path(folder) / "model.tflite"
        model.export(path, format="litert", verbose=False)
        interpreter = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=resolver)
    allocated = 0

    def run(images: np.ndarray) -> np.ndarray:
        nonlocal allocated
        if len(images) != allocated:
            interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], images.shape)
            interpreter.allocate_tensors()
            allocated = len(images)
        interpreter.set_tensor(pixels, images)
        interpreter.invoke()
        return interpreter.get_tensor(probabilities)

    pixels, probabilities = (each()[0]["index"] for each in (interpreter.get_input_details, interpreter.get_output_details))
    return run


def _cells(run: Graph, images: np.ndarray) -> str:
    times = ", ".join(f"{_microseconds(run, images[:size]):.1f}" for size in _SIZES)
    alone = np.concatenate([run(images[place : place + 1]) for place in range(1024)])
    same = all(np.array_equal(run(images[1024 - size : 1024]), alone[1024 - size :]) for size in (*range(2, 66), 1000, 1024))
    return f"{times} | {'yes' if same else 'no'}"


def _microseconds(run: Graph, images: np.ndarray) -> float:
    run(images)
    times = []
    for _ in range(300):
        started = time.perf_counter()
        for _ in range(5):
            run(images)
        times.append((time.perf_counter() - started) / 5)
    return 1e6 * median(times)


if __name__ == "__main__":
    main()
