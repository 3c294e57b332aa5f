"""What the recipes beside the baseline reach when they are fitted to the end."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from models.architectures import for_litert
from models.card import PARITY_TOLERANCE
from tests.support.exporting import exported_to_litert
from training.assessment import Candidate, assess
from training.behaviour import below_floor
from training.data import Mnist
from training.evaluate import probabilities_of
from training.fit import fit
from training.recipes import RECIPES

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Promise:
    """What is promised of a recipe on the test digits, and of its fit in seconds of processor time."""

    accuracy: float
    calibration_error: float
    coverage: float
    accepted_accuracy: float
    cpu_seconds: float  # at least a third above what a fit took beside other work


PROMISED = {
    "sgd": Promise(0.92, 0.010, 0.60, 0.990, 30),
    "deskew": Promise(0.97, 0.010, 0.60, 0.990, 30),
    "conv": Promise(0.994, 0.004, 0.96, 0.998, 360),
}


@dataclass(frozen=True)
class Fitted:
    """A candidate, the processor time of its fit, and its probabilities from LiteRT."""

    candidate: Candidate
    cpu_seconds: float
    run: Callable[[np.ndarray], np.ndarray]

    @property
    def promise(self) -> Promise:
        return PROMISED[self.candidate.recipe.name]


@pytest.fixture(scope="module", params=[("sgd", 0), ("deskew", 0), ("deskew", 1), ("conv", 0)], ids=str)
def fitted(request: pytest.FixtureRequest, mnist: Mnist, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    name, seed = request.param
    recipe, started = replace(RECIPES[name], seed=seed), time.process_time()
    classifier = fit(recipe, mnist.train, mnist.validation)
    cpu_seconds = time.process_time() - started
    candidate = assess(recipe, classifier, mnist)
    run = exported_to_litert(for_litert(candidate.fit.classifier), tmp_path_factory.mktemp(name))
    return Fitted(candidate, cpu_seconds, run)


def test_it_reads_the_test_digits_that_were_promised(fitted: Fitted):
    print(f"{fitted.candidate.recipe.name}: {fitted.candidate.test.accuracy:.2%}")
    assert fitted.candidate.test.accuracy >= fitted.promise.accuracy


def test_it_is_calibrated(fitted: Fitted):
    print(f"calibration error on test: {fitted.candidate.test.calibration_error:.4f}")
    assert fitted.candidate.test.calibration_error <= fitted.promise.calibration_error


def test_what_it_accepts_is_right_and_covers_enough(fitted: Fitted):
    accepted = fitted.candidate.acceptance.test
    print(f"{accepted.accuracy:.2%} right of the {accepted.coverage:.2%} accepted")
    assert accepted.accuracy >= fitted.promise.accepted_accuracy
    assert accepted.coverage >= fitted.promise.coverage


def test_its_behaviour_is_above_every_floor(fitted: Fitted):
    assert below_floor(fitted.candidate.recipe.name, fitted.candidate.behaviour) is None


def test_its_fit_takes_no_more_processor_time_than_promised(fitted: Fitted):
    print(f"{fitted.cpu_seconds:.0f} CPU seconds")
    assert fitted.cpu_seconds <= fitted.promise.cpu_seconds


def in_batches(fitted: Fitted, images: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([fitted.run(images[start : start + size]) for start in range(0, len(images), size)])


def test_litert_answers_what_keras_does_and_an_image_alike_bit_for_bit_in_every_batch(fitted: Fitted, mnist: Mnist):
    pixels = mnist.test.images.astype(np.float32)
    answers = in_batches(fitted, pixels, 1024)
    difference = np.abs(answers - probabilities_of(fitted.candidate.fit.classifier, mnist.test.images)).max()
    print(f"LiteRT differs by up to {difference:.1e}")
    assert difference <= PARITY_TOLERANCE
    for size in (1, 7, 64):
        assert np.array_equal(in_batches(fitted, pixels[:1024], size), answers[:1024]), size
