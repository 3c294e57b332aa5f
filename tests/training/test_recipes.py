import math
from dataclasses import FrozenInstanceError, asdict, fields, replace
from typing import get_args

import pytest

from models.card import Architecture
from training.recipes import RECIPES, Recipe


def test_recipes_are_found_by_their_names():
    assert {"baseline", "sgd"} <= RECIPES.keys()
    assert all(name == recipe.name for name, recipe in RECIPES.items())


def test_a_recipe_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        RECIPES["baseline"].epochs = 3  # pyright: ignore[reportAttributeAccessIssue]: that is the point


def test_a_recipe_has_at_most_eight_fields():
    assert len(fields(Recipe)) <= 8


@pytest.mark.parametrize("epochs", [0, -1])
def test_less_than_one_epoch_is_refused(epochs: int):
    with pytest.raises(ValueError, match=f"epochs is {epochs}; at least 1"):
        replace(RECIPES["baseline"], epochs=epochs)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_does_not_fit_32_bits_is_refused(seed: int):
    with pytest.raises(ValueError, match=f"seed is {seed}; a whole number from 0 to 4294967295"):
        replace(RECIPES["baseline"], seed=seed)


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_the_ends_of_the_range_of_seeds_are_inside(seed: int):
    assert replace(RECIPES["baseline"], seed=seed).seed == seed


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_no_images_is_refused(size: int):
    with pytest.raises(ValueError, match=f"batch_size is {size}; at least 1 is expected"):
        replace(RECIPES["baseline"], batch_size=size)


@pytest.mark.parametrize("rate", [0.0, -0.1, math.inf, math.nan])
def test_a_learning_rate_that_is_not_a_number_above_0_is_refused(rate: float):
    with pytest.raises(ValueError, match=f"learning_rate is {rate}; a number above 0 is expected"):
        replace(RECIPES["baseline"], learning_rate=rate)


def test_epochs_of_a_recipe_with_one_fixed_batch_are_called_steps():
    assert (RECIPES["baseline"].unit, RECIPES["tutorial"].unit) == ("epochs", "steps")
    with pytest.raises(ValueError, match="steps is 0; at least 1"):
        replace(RECIPES["tutorial"], epochs=0)


def test_every_architecture_has_a_recipe_and_one_layer_is_the_default():
    assert {recipe.architecture for recipe in RECIPES.values()} == set(get_args(Architecture))
    assert RECIPES["baseline"].architecture == RECIPES["tutorial"].architecture == "softmax"
    assert asdict(RECIPES["conv"])["architecture"] == "conv"


def test_a_recipe_with_one_fixed_batch_stays_one_when_it_is_changed():
    assert (RECIPES["baseline"].batches, RECIPES["tutorial"].batches) == ("all", "first")
    assert replace(RECIPES["tutorial"], epochs=7).unit == "steps"
