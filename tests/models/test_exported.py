import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from models.card import GOLDEN_FILE, KERAS_FILE, NOVELTY_TOLERANCE, PARITY_TOLERANCE
from models.exported import Graph, Outputs, load_litert, load_saved_model, native_chatter_held_back
from tests.support.store import SCHEMA_1, SCHEMA_2
from training.data import Mnist
from training.novelty import novelty_model

BATCH_SIZES = (1, 2, 64, 1000)

# PARITY_TOLERANCE is about digits. Noise is brighter and its logits reach 80 instead of 40, and with them the error of a
# float32 sum: 1.2e-5 is the most that was seen in 20,000 such images.
NOISE_TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def version(published_home: Path) -> Path:
    versions = published_home / "models" / "digit-classifier"
    return versions / (versions / "latest").read_text()


@pytest.fixture(scope="module")
def classifier(version: Path) -> keras.Sequential:
    loaded = keras.models.load_model(version / KERAS_FILE)
    assert isinstance(loaded, keras.Sequential)
    return loaded


@pytest.fixture(scope="module")
def digits(mnist: Mnist) -> np.ndarray:
    return mnist.test.images[:1000].astype(np.float32)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (1000, 784)).astype(np.float32)


def in_batches(run: Graph, images: np.ndarray, batch_size: int, with_novelty: bool = True) -> Outputs:
    """Return what `run` answers to `images`, so many at a time."""
    answers = [run(images[start : start + batch_size], with_novelty) for start in range(0, len(images), batch_size)]
    assert all(output.dtype == np.float32 for answer in answers for output in answer if output is not None)
    probabilities, novelty = zip(*answers, strict=True)
    return Outputs(np.concatenate(probabilities), np.concatenate(novelty) if with_novelty else None)


def assert_as_keras(run: Graph, keras_model: keras.Model, images: np.ndarray, batch_size: int, tolerance: float) -> None:
    expected, answered = np.asarray(keras_model(images)), in_batches(run, images, batch_size, with_novelty=False)
    assert np.abs(answered.probabilities - expected).max() <= tolerance


@pytest.fixture(scope="module", params=[load_litert, load_saved_model], ids=["litert", "saved_model"])
def graph(request: pytest.FixtureRequest, version: Path) -> Graph:
    return request.param(version)


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_an_export_answers_what_keras_does(
    graph: Graph, classifier: keras.Sequential, digits: np.ndarray, noise: np.ndarray, batch_size: int
):
    assert_as_keras(graph, classifier, digits, batch_size, PARITY_TOLERANCE)
    assert_as_keras(graph, classifier, noise, batch_size, NOISE_TOLERANCE)


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_an_export_scores_novelty_as_keras_does(
    graph: Graph, mnist: Mnist, digits: np.ndarray, noise: np.ndarray, batch_size: int
):
    model = novelty_model(mnist.train)
    for images in (digits, noise):
        scores = in_batches(graph, images, batch_size).novelty
        assert scores is not None
        np.testing.assert_allclose(scores, np.asarray(model(images)), rtol=NOVELTY_TOLERANCE)


def test_an_export_computes_no_novelty_that_is_not_wanted(graph: Graph, digits: np.ndarray):
    assert graph(digits, False).novelty is None


@pytest.mark.parametrize("load", [load_litert, load_saved_model])
@pytest.mark.parametrize("published", [SCHEMA_1, SCHEMA_2], ids=["schema_1", "schema_2"])
def test_a_version_from_before_novelty_has_none_and_answers_as_published(load: Callable[[Path], Graph], published: Path):
    with np.load(published / GOLDEN_FILE) as golden:
        probabilities, novelty = load(published)(golden["images"].astype(np.float32), True)
        np.testing.assert_allclose(probabilities, golden["probabilities"], rtol=0, atol=PARITY_TOLERANCE)
    assert novelty is None


def test_litert_answers_an_image_alike_bit_for_bit_in_every_batch_size(version: Path, noise: np.ndarray):
    run = load_litert(version)
    one_by_one = in_batches(run, noise, 1)
    for batch_size in (*BATCH_SIZES, 3, 7, 250, 1):
        for output, expected in zip(in_batches(run, noise, batch_size), one_by_one, strict=True):
            assert output is not None
            assert np.array_equal(output, np.asarray(expected)), batch_size


def test_litert_gives_the_same_probabilities_bit_for_bit_with_and_without_novelty(
    version: Path, digits: np.ndarray, noise: np.ndarray
):
    run = load_litert(version)
    for images in (digits, noise, digits[:1], noise[:3]):
        assert np.array_equal(run(images, True).probabilities, run(images, False).probabilities)


def test_an_answer_of_litert_outlives_the_next_call(version: Path, noise: np.ndarray):
    run = load_litert(version)
    first = run(noise[:1], True)
    kept = [output.copy() for output in first if output is not None]
    run(255 - noise[:1], True)
    assert all(np.array_equal(np.asarray(output), before) for output, before in zip(first, kept, strict=True))


def test_native_chatter_is_held_back_and_descriptor_2_comes_back(capfd: pytest.CaptureFixture[str]):
    with native_chatter_held_back():
        os.write(2, b"a greeting from C++")
    os.write(2, b"a word from us")
    assert capfd.readouterr().err == "a word from us"


def chatter_and(error: BaseException) -> None:
    os.write(2, b"a word from C++, ")
    raise error


def test_native_chatter_is_let_out_when_the_block_fails(capfd: pytest.CaptureFixture[str]):
    with pytest.raises(ZeroDivisionError), native_chatter_held_back():
        chatter_and(ZeroDivisionError())
    os.write(2, b"a word from us")
    assert capfd.readouterr().err == "a word from C++, a word from us"


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_native_chatter_stays_held_back_when_the_program_is_to_end(capfd: pytest.CaptureFixture[str], end: type[BaseException]):
    with pytest.raises(end), native_chatter_held_back():
        chatter_and(end())
    os.write(2, b"a word from us")
    assert capfd.readouterr().err == "a word from us"


def test_holding_native_chatter_back_leaves_no_descriptor_open():
    def lowest_free() -> int:
        descriptor = os.dup(2)
        os.close(descriptor)
        return descriptor

    before = lowest_free()
    with native_chatter_held_back():
        pass
    assert lowest_free() == before
