"""Figures of answers, checked against counting."""

import numpy as np
import pytest

from benchmarks.robustness.measure import Answers, auroc, figures, mean

CLEAN = Answers(np.array([1, 2]), np.array([True, True]), {"confidence": np.array([0.1, 0.3])})


def answers(digits: list[int], accepted: list[bool], scores: list[float]) -> Answers:
    return Answers(np.array(digits), np.array(accepted), {"confidence": np.array(scores)})


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order_and_equal_ones_count_half() -> None:
    random = np.random.default_rng(0)
    usual, unusual = random.integers(0, 9, 40) / 10, random.integers(3, 12, 30) / 10
    pairs = [(high > low) + (high == low) / 2 for low in usual for high in unusual]
    assert auroc(usual, unusual) == pytest.approx(np.mean(pairs))
    assert auroc(unusual, usual) == pytest.approx(1 - np.mean(pairs))


def test_accuracy_is_of_all_and_of_what_was_accepted() -> None:
    found = figures(
        answers([1, 2, 3, 4], [True, True, False, False], [0, 0.2, 0.5, 0.5]), np.array([1, 0, 3, 0], np.uint8), CLEAN
    )
    assert (found.images, found.accuracy, found.coverage, found.accepted_accuracy) == (4, 0.5, 0.5, 0.5)
    assert found.auroc == {"confidence": (0 + 0.5 + 1 + 1) / 4}


def test_where_nothing_was_accepted_or_there_are_no_labels_there_is_no_accuracy_of_it() -> None:
    nothing = answers([1, 2], [False, False], [0.5, 0.5])
    assert figures(nothing, np.array([1, 0], np.uint8), CLEAN).accepted_accuracy is None
    assert figures(nothing, None, CLEAN).accuracy is None
    assert figures(nothing, None, CLEAN).coverage == 0


def test_a_model_without_thresholds_has_no_coverage() -> None:
    found = figures(answers([1], [True], [0.1])._replace(accepted=None), np.array([1], np.uint8), CLEAN)
    assert (found.accuracy, found.coverage, found.accepted_accuracy) == (1, None, None)


def test_the_mean_weighs_the_accuracy_of_what_was_accepted_by_how_much_that_was() -> None:
    labels = np.array([1, 1, 1, 1], np.uint8)
    much = figures(answers([1, 1, 1, 0], [True] * 4, [0] * 4), labels, CLEAN)
    little = figures(answers([0, 0, 0, 0], [True, False, False, False], [1] * 4), labels, CLEAN)
    none = figures(answers([1, 1, 1, 1], [False] * 4, [1] * 4), labels, CLEAN)
    found = mean([much, little, none])
    assert (found.images, found.accuracy, found.coverage) == (12, pytest.approx(1.75 / 3), pytest.approx(1.25 / 3))
    assert found.accepted_accuracy == pytest.approx(3 / 5)
    assert found.auroc == {"confidence": pytest.approx(2 / 3)}
