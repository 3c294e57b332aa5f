import numpy as np
import pytest

from models.card import Thresholds
from training.acceptance import Answers, choose_thresholds, coverage_table, curve, what_is_accepted
from training.evaluate import wilson_interval


def answers(*each: tuple[float, bool, float]) -> Answers:
    """Return answers of (confidence, whether it is correct, share of novelty)."""
    confidence, correct, novelty = zip(*each, strict=True)
    return Answers(np.array(confidence, np.float32), np.array(correct), np.array(novelty, np.float32))


# Of the four most confident, three are right; confidence 0.5 occurs twice.
FIVE = answers((0.5, True, 0.1), (1.0, True, 0.2), (0.75, False, 0.3), (0.5, False, 0.4), (0.875, True, 0.5))


@pytest.fixture(scope="module")
def thousand() -> Answers:
    """Return answers whose confidence is the probability that they are right, and whose novelty is even."""
    random = np.random.default_rng(0)
    confidence = random.beta(4, 0.4, 1000).astype(np.float32)
    return Answers(confidence, random.random(1000) < confidence, (random.permutation(1000) / 1000).astype(np.float32))


def test_the_curve_has_what_is_covered_and_right_at_each_confidence_and_equal_ones_together():
    found = curve(FIVE)
    assert found.min_confidence.tolist() == [1.0, 0.875, 0.75, 0.5]
    assert found.coverage.tolist() == [0.2, 0.4, 0.6, 1.0]
    assert found.accuracy.tolist() == pytest.approx([1, 1, 2 / 3, 3 / 5])


def test_the_confidence_chosen_is_the_lowest_from_which_on_enough_is_right(thousand: Answers):
    chosen = choose_thresholds(thousand, 0.98).min_confidence
    assert thousand.correct[thousand.confidence >= chosen].mean() >= 0.98
    lower = thousand.confidence[thousand.confidence < chosen]
    assert all(thousand.correct[thousand.confidence >= each].mean() < 0.98 for each in lower)


def test_the_novelty_chosen_refuses_one_answer_in_a_hundred_that_was_confident_enough(thousand: Answers):
    thresholds = choose_thresholds(thousand, 0.98)
    confident = thousand.confidence >= thresholds.min_confidence
    assert (thousand.novelty[confident] > thresholds.max_novelty).sum() == 10


def test_exactly_enough_is_enough_and_novelty_is_counted_from_the_confidence_chosen_on():
    certain = [(1.0, True, each / 100) for each in range(50)]
    likely = [(0.5, each % 2 == 0, 0.5 + each / 100) for each in range(50)]
    thresholds = choose_thresholds(answers(*certain, *likely), 0.75)
    assert thresholds.min_confidence == 0.5
    assert thresholds.max_novelty == pytest.approx(0.98)


def test_the_only_answer_that_is_accepted_is_right_or_not():
    thresholds = Thresholds(min_confidence=1.0, max_novelty=1.0)
    assert what_is_accepted(FIVE, thresholds).accuracy == 1


def test_where_no_confidence_is_enough_only_all_of_it_is():
    thresholds = choose_thresholds(answers((0.9, False, 0.5), (0.8, True, 0.6)), 0.99)
    assert thresholds == Thresholds(min_confidence=1.0, max_novelty=1.0)


def test_what_is_accepted_is_measured_by_both_thresholds():
    accepted = what_is_accepted(FIVE, Thresholds(min_confidence=0.5, max_novelty=0.35))
    assert (accepted.coverage, accepted.accuracy) == (0.6, pytest.approx(2 / 3))
    assert accepted.accuracy_interval == wilson_interval(2, 3)


def test_where_nothing_is_accepted_nothing_is_known_of_it():
    accepted = what_is_accepted(FIVE, Thresholds(min_confidence=0.5, max_novelty=0.0))
    assert (accepted.coverage, accepted.accuracy, accepted.accuracy_interval) == (0, 0, (0, 1))


def test_the_table_goes_from_all_to_the_surest_in_steps_of_five_points(thousand: Answers):
    rows = coverage_table(thousand)
    covered = [row.coverage for row in rows]
    assert covered == sorted(covered, reverse=True)
    assert {round(each / 20, 2) for each in range(1, 21)} <= {round(each, 2) for each in covered}
    assert rows[0].accuracy == pytest.approx(thousand.correct.mean())
    assert rows[0].min_confidence == pytest.approx(thousand.confidence.min())


@pytest.mark.parametrize("accuracy", [0.99, 0.995, 0.999])
def test_the_table_has_the_most_that_can_be_covered_at_each_accuracy(accuracy: float):
    confidence = np.linspace(0, 1, 10_001)[1:].astype(np.float32)
    correct = np.random.default_rng(0).random(10_000) < 0.9 + confidence / 9
    found = Answers(confidence, correct, np.zeros(10_000, np.float32))
    whole = curve(found)
    best = whole.coverage[whole.accuracy >= accuracy].max()
    assert max(row.coverage for row in coverage_table(found) if row.accuracy >= accuracy) == best


def test_a_table_of_few_answers_has_a_row_for_each_confidence():
    assert [row.coverage for row in coverage_table(FIVE)] == [1.0, 0.6, 0.4, 0.2]
