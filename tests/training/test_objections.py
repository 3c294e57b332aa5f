"""Which models get into the store."""

from dataclasses import replace
from pathlib import Path

import pytest

from models.card import CARD_FILE
from tests.support.candidates import right_on
from tests.support.store import AddVersion
from training.assessment import Candidate
from training.behaviour import FLOORS
from training.data import read_mnist
from training.publish import NotPublished, objection_to, publish
from training.recipes import RECIPES


@pytest.fixture(scope="module")
def other(candidate: Candidate, tiny_data: Path) -> Candidate:
    """Return the same model as if it had been fitted to data that is not the bundled MNIST."""
    return replace(candidate, data=read_mnist(tiny_data))


def refusal_of(candidate: Candidate) -> NotPublished:
    with pytest.raises(NotPublished) as refused:
        publish(candidate)
    return refused.value


@pytest.mark.usefixtures("versions_folder")
def test_the_first_good_model_has_nothing_against_it(candidate: Candidate):
    assert objection_to(candidate) is None


@pytest.mark.usefixtures("versions_folder")
def test_below_90_percent_on_validation_is_refused_with_both_numbers(candidate: Candidate):
    refusal = refusal_of(right_on(candidate, 4499))
    assert str(refusal) == "validation accuracy is 89.98%; at least 90.00% is required"
    assert (refusal.is_failure, refusal.can_be_forced) == (True, True)
    assert objection_to(right_on(candidate, 4500)) is None


def test_what_is_more_than_half_a_point_worse_than_the_served_one_is_refused_with_both_numbers(
    candidate: Candidate, add_version: AddVersion
):
    add_version("before", validation=right_on(candidate, 4720).validation)
    assert str(refusal_of(right_on(candidate, 4694))) == (
        "validation accuracy is 93.88%, and digit-classifier:before, which is served now, has 94.40%; "
        "at most 0.5 points less is allowed"
    )


@pytest.mark.parametrize("served", [4525, 4719, 4720, 4999, 5000])
def test_exactly_half_a_point_worse_than_the_served_one_is_not_refused(
    candidate: Candidate, add_version: AddVersion, served: int
):
    add_version("before", validation=right_on(candidate, served).validation)
    assert objection_to(right_on(candidate, served - 25)) is None


def test_a_version_that_was_served_before_is_not_compared(candidate: Candidate, add_version: AddVersion):
    add_version("before", validation=right_on(candidate, 5000).validation)
    add_version("now", validation=right_on(candidate, 4600).validation)
    assert objection_to(right_on(candidate, 4600)) is None


def test_a_served_version_of_other_data_is_not_compared(candidate: Candidate, add_version: AddVersion):
    validation = right_on(candidate, 5000).validation
    add_version("before", validation=validation)
    assert objection_to(right_on(candidate, 4600)) is not None
    add_version("other", validation=validation, data_sha256={"train-images-idx3-ubyte": "0" * 64})
    assert objection_to(right_on(candidate, 4600)) is None


@pytest.mark.usefixtures("versions_folder")
def test_each_recipe_has_floors_of_its_own(candidate: Candidate):
    below_one_of_them = replace(candidate, behaviour=dict(FLOORS["sgd"]))
    assert "is required of baseline" in str(refusal_of(below_one_of_them))
    assert objection_to(replace(below_one_of_them, recipe=RECIPES["sgd"])) is None


@pytest.mark.usefixtures("versions_folder")
def test_behaviour_below_its_floor_is_refused_with_the_test_named(candidate: Candidate):
    assert objection_to(candidate) is None
    name, floor = next(iter(FLOORS["baseline"].items()))
    refusal = refusal_of(replace(candidate, behaviour=candidate.behaviour | {name: floor - 0.01}))
    assert str(refusal) == f"{name}: {floor - 0.01:.2%} passed; at least {floor:.2%} is required of baseline"
    assert (refusal.is_failure, refusal.can_be_forced) == (True, True)


def test_a_served_version_of_another_recipe_is_not_compared(candidate: Candidate, add_version: AddVersion):
    add_version("better", validation=right_on(candidate, 5000).validation, recipe={"name": "conv", "seed": 0})
    assert objection_to(right_on(candidate, 4600)) is None
    add_version("same", validation=right_on(candidate, 5000).validation)
    assert objection_to(right_on(candidate, 4600)) is not None


@pytest.mark.parametrize("how", ["no card", "no latest", "latest names nothing"])
def test_where_the_served_version_cannot_be_read_the_best_that_can_is_the_measure(
    candidate: Candidate, add_version: AddVersion, versions_folder: Path, how: str
):
    add_version("best", validation=right_on(candidate, 4720).validation)
    add_version("worse", validation=right_on(candidate, 4600).validation)
    add_version("other", validation=right_on(candidate, 5000).validation, data_sha256={"train-images-idx3-ubyte": "0" * 64})
    add_version("served", validation=right_on(candidate, 5000).validation)
    (versions_folder / "served" / CARD_FILE).unlink()
    if how != "no card":
        (versions_folder / "latest").unlink()
    if how == "latest names nothing":
        (versions_folder / "latest").write_text("gone")
    assert str(refusal_of(right_on(candidate, 4570))) == (
        "validation accuracy is 91.40%, and digit-classifier:best, the best of those that can be read, "
        "since the served one cannot be, has 94.40%; at most 0.5 points less is allowed"
    )
    assert objection_to(right_on(candidate, 4695)) is None


def test_where_no_version_can_be_read_there_is_nothing_to_compare_with(
    candidate: Candidate, add_version: AddVersion, versions_folder: Path
):
    add_version("served", validation=right_on(candidate, 5000).validation)
    (versions_folder / "served" / CARD_FILE).unlink()
    assert objection_to(right_on(candidate, 4500)) is None


@pytest.mark.usefixtures("versions_folder")
def test_other_data_is_refused_but_is_no_failure(other: Candidate):
    refusal = refusal_of(other)
    assert str(refusal) == "the data is not the bundled MNIST"
    assert (refusal.is_failure, refusal.can_be_forced) == (False, True)


@pytest.mark.usefixtures("versions_folder")
def test_a_recipe_that_learns_from_one_batch_is_refused_but_is_no_failure(candidate: Candidate):
    refusal = refusal_of(replace(candidate, recipe=RECIPES["tutorial"]))
    assert str(refusal) == "tutorial learns from 100 images alone, to show how"
    assert (refusal.is_failure, refusal.can_be_forced) == (False, True)
