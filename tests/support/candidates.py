"""Candidates for publication, as if they had read more or fewer digits than they did."""

from dataclasses import replace

from training.assessment import Candidate


def right_on(candidate: Candidate, correct: int) -> Candidate:
    """Return `candidate` as if it had read `correct` of the 5,000 validation digits."""
    return replace(candidate, validation=candidate.validation.model_copy(update={"accuracy": correct / 5000}))
