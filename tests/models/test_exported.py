import os
from pathlib import Path

import keras
import numpy as np
import pytest

from models.card import KERAS_FILE, LITERT_FILE, PARITY_TOLERANCE, SAVED_MODEL_FOLDER
from models.exported import Graph, load_litert, load_saved_model, native_chatter_held_back
from training.data import Mnist

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


def largest_difference(run: Graph, classifier: keras.Sequential, images: np.ndarray, batch_size: int) -> float:
    batches = [run(images[start : start + batch_size]) for start in range(0, len(images), batch_size)]
    assert all(batch.dtype == np.float32 for batch in batches)
    return float(np.abs(np.concatenate(batches) - np.asarray(classifier(images))).max())


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_litert_answers_what_keras_does(
    version: Path, classifier: keras.Sequential, digits: np.ndarray, noise: np.ndarray, batch_size: int
):
    run = load_litert(version / LITERT_FILE)
    assert largest_difference(run, classifier, digits, batch_size) <= PARITY_TOLERANCE
    assert largest_difference(run, classifier, noise, batch_size) <= NOISE_TOLERANCE


def test_litert_answers_an_image_alike_bit_for_bit_in_every_batch_size(version: Path, noise: np.ndarray):
    run = load_litert(version / LITERT_FILE)
    one_by_one = np.concatenate([run(noise[place : place + 1]) for place in range(1000)])
    for batch_size in (*BATCH_SIZES, 3, 7, 250, 1):
        batches = [run(noise[start : start + batch_size]) for start in range(0, 1000, batch_size)]
        assert np.array_equal(np.concatenate(batches), one_by_one), batch_size


def test_an_answer_of_litert_outlives_the_next_call(version: Path, noise: np.ndarray):
    run = load_litert(version / LITERT_FILE)
    first = run(noise[:1])
    kept = first.copy()
    run(255 - noise[:1])
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_the_saved_model_answers_what_keras_does(
    version: Path, classifier: keras.Sequential, digits: np.ndarray, noise: np.ndarray, batch_size: int
):
    run = load_saved_model(version / SAVED_MODEL_FOLDER)
    assert largest_difference(run, classifier, digits, batch_size) <= PARITY_TOLERANCE
    assert largest_difference(run, classifier, noise, batch_size) <= NOISE_TOLERANCE


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
