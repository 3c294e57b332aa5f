import math

import numpy as np
import pytest

from models.architectures import build, with_softmax
from training.data import Split
from training.evaluate import evaluate, evaluate_probabilities, wilson_interval


def answers(*images: dict[int, float]) -> np.ndarray:
    """Return float32 probabilities; each image names those that are not 0."""
    probabilities = np.zeros((len(images), 10), np.float32)
    for row, image in zip(probabilities, images, strict=True):
        row[list(image)] = list(image.values())
    return probabilities


def labels(*digits: int) -> np.ndarray:
    return np.array(digits, np.uint8)


# 3 of 4 are right; the two at confidence 0.70 and 0.72 share a bin of fifteen.
MIXED = answers({3: 0.7, 5: 0.3}, {3: 0.72, 5: 0.28}, {0: 1.0}, {1: 0.9, 7: 0.1}), labels(3, 5, 0, 1)
PERFECT = answers({0: 1.0}, {9: 1.0}, {4: 1.0}), labels(0, 9, 4)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_wilson_interval_is_the_published_one(successes: int, trials: int, low: float, high: float):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("trials", [1, 3, 20, 10_000])  # of 20, rounding leads above 1
def test_the_wilson_interval_stays_between_0_and_1(trials: int):
    assert wilson_interval(0, trials)[0] >= 0
    assert wilson_interval(trials, trials)[1] <= 1


def test_accuracy_is_the_share_of_images_whose_most_probable_digit_is_the_label():
    measured = evaluate_probabilities(*MIXED)
    assert (measured.images, measured.accuracy) == (4, 0.75)
    assert measured.accuracy_interval == wilson_interval(3, 4)


def test_the_loss_is_the_mean_cross_entropy_in_nats():
    assert evaluate_probabilities(*MIXED).loss == pytest.approx(-(math.log(0.7) + math.log(0.28) + math.log(0.9)) / 4)


def test_the_brier_score_is_the_mean_squared_distance_from_the_label():
    # 0.3² + 0.3², 0.72² + 0.72², 0, 0.1² + 0.1²
    assert evaluate_probabilities(*MIXED).brier_score == pytest.approx((0.18 + 1.0368 + 0 + 0.02) / 4)


def test_the_calibration_error_is_the_gap_in_each_bin_weighted_by_its_images():
    # Two images at 0.71 on the mean, of which one is right; one at 1 and one at 0.9, both right.
    assert evaluate_probabilities(*MIXED).calibration_error == pytest.approx((2 * (0.71 - 0.5) + 0 + 0.1) / 4)


def test_the_reliability_bins_are_fifteen_of_one_width():
    reliability = evaluate_probabilities(*MIXED).reliability
    assert {place: each.images for place, each in enumerate(reliability) if each.images} == {10: 2, 13: 1, 14: 1}
    assert len(reliability) == 15
    assert reliability[10].mean_confidence == pytest.approx(0.71)
    assert reliability[10].accuracy == 0.5
    assert (reliability[0].mean_confidence, reliability[0].accuracy) == (0, 0)


def test_the_confusion_is_counted_by_label_and_then_by_digit_answered():
    confusion = evaluate_probabilities(*MIXED).confusion
    counted = {(label, digit): n for label, row in enumerate(confusion) for digit, n in enumerate(row) if n}
    assert counted == {(3, 3): 1, (5, 3): 1, (0, 0): 1, (1, 1): 1}
    assert [len(row) for row in confusion] == [10] * 10


def test_a_probability_of_exactly_zero_for_the_label_keeps_the_loss_finite():
    measured = evaluate_probabilities(answers({0: 1.0}, {1: 1.0}), labels(0, 2))
    assert measured.loss == pytest.approx(-math.log(np.finfo(np.float32).tiny) / 2)
    assert (measured.accuracy, measured.brier_score, measured.calibration_error) == (0.5, 1.0, 0.5)


def test_perfect_answers_have_no_loss_at_all():
    measured = evaluate_probabilities(*PERFECT)
    assert (measured.accuracy, measured.loss, measured.brier_score, measured.calibration_error) == (1, 0, 0, 0)
    assert sum(measured.confusion[digit][digit] for digit in range(10)) == 3


def test_measuring_prints_nothing(capsys: pytest.CaptureFixture[str]):
    evaluate(with_softmax(build("softmax")), Split(np.zeros((3, 784), np.uint8), labels(1, 2, 3)))
    assert capsys.readouterr() == ("", "")


def test_a_classifier_is_measured_by_its_answers_to_raw_pixels():
    random = np.random.default_rng(0)
    split = Split(random.integers(0, 256, (50, 784), np.uint8), random.integers(0, 10, 50, np.uint8))
    classifier = with_softmax(build("softmax"))
    expected = evaluate_probabilities(np.asarray(classifier(split.images.astype(np.float32))), split.labels)
    measured = evaluate(classifier, split)
    assert measured.confusion == expected.confusion
    assert measured.loss == pytest.approx(expected.loss)
