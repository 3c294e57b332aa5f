import numpy as np
import pytest

from models.card import Novelty, Thresholds
from models.novelty import accepted, knots_of, novelty_share

NOVELTY = Novelty(knots=((1.0, 0.0), (2.0, 0.5), (6.0, 1.0)))


@pytest.mark.parametrize(
    ("score", "share"), [(0.5, 0.0), (1.0, 0.0), (1.5, 0.25), (2.0, 0.5), (4.0, 0.75), (6.0, 1.0), (60.0, 1.0), (np.inf, 1.0)]
)
def test_a_share_is_interpolated_between_knots_and_is_0_below_and_1_above_all(score: float, share: float):
    found = novelty_share(np.array([score], np.float32), knots_of(NOVELTY))
    assert (found.dtype, found.tolist()) == (np.float32, [share])


def test_an_answer_is_accepted_from_the_least_confidence_on_and_up_to_the_most_novelty():
    thresholds = Thresholds(min_confidence=0.9, max_novelty=0.99)
    confidence, novelty = np.array([0.9, 0.89, 1.0, 1.0, 0.5]), np.array([0.99, 0.0, 0.991, 0.0, 1.0])
    assert accepted(confidence, novelty, thresholds).tolist() == [True, False, False, True, False]


@pytest.mark.parametrize("unknown", [(np.nan, 0.5), (0.99, np.nan)])
def test_an_answer_without_a_number_is_not_accepted(unknown: tuple[float, float]):
    confidence, novelty = np.array([unknown[0]]), np.array([unknown[1]])
    assert accepted(confidence, novelty, Thresholds(min_confidence=0.1, max_novelty=1.0)).tolist() == [False]
