from itertools import islice, product

import pytest

from models.perceptron import (
    CORNERS,
    GATES,
    MAX_EPOCHS,
    activation,
    fit,
    learn_gate,
    learn_gate_with_hidden_layer,
)

TARGETS = ["".join(digits) for digits in product("01", repeat=4)]
NOT_SEPARABLE = {"0110", "1001"}


def answered(values) -> str:
    return "".join("1" if value > 0 else "0" for value in values)


@pytest.mark.parametrize("gate", ["AND", "OR"])
def test_a_gate_that_a_line_can_do_is_learned(gate: str):
    unit = learn_gate(GATES[gate])
    assert unit.learned
    assert answered(map(unit.answer, CORNERS)) == GATES[gate]


@pytest.mark.parametrize(("gate", "rows"), [("AND", "0001"), ("OR", "0111"), ("XOR", "0110")])
def test_the_gates_are_what_logic_calls_them(gate: str, rows: str):
    assert GATES[gate] == rows


@pytest.mark.parametrize("learning_rate", [0.05, 0.1, 0.2, 0.5, 1])
def test_of_all_sixteen_targets_only_xor_and_its_opposite_are_never_learned(learning_rate: float):
    learned = {target for target in TARGETS for seed in range(5) if learn_gate(target, learning_rate, seed).learned}
    always = {target for target in TARGETS if all(learn_gate(target, learning_rate, seed).learned for seed in range(5))}
    assert learned == always == set(TARGETS) - NOT_SEPARABLE


def test_xor_is_still_wrong_after_five_thousand_epochs():
    assert learn_gate("0110", max_epochs=5000).epochs[-1].errors > 0


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", range(5))
def test_a_hidden_layer_of_two_learns_all_sixteen(target: str, seed: int):
    left, right, output = learn_gate_with_hidden_layer(target, seed=seed)
    assert answered(output.answer((left.answer(corner), right.answer(corner))) for corner in CORNERS) == target
    assert (left.target, right.target, output.target) == (target[:2] + "00", "00" + target[2:], target)


def test_a_step_of_the_rule_is_as_computed_by_hand():
    start, after = islice(fit([(2, 3)], [1], 0.5, (2, -2.5, 0.4)), 2)
    assert start.errors == 1
    assert after.weights == pytest.approx([start.weights[0] + 1, start.weights[1] + 1.5])
    assert after.bias == pytest.approx(start.bias + 0.5)


def test_a_right_answer_moves_nothing_and_ends_it():
    (only,) = fit([(2, 3)], [-1], 0.5, (2, -2.5, 0.4))
    assert (only.number, only.errors) == (0, 0)


def test_a_point_on_the_line_is_of_neither_class():
    assert [activation(point, (1, 1), -1) for point in ((0.5, 0.5), (1, 1), (0, 0))] == [0, 1, -1]


def test_the_errors_of_an_epoch_are_the_points_that_its_weights_get_wrong():
    for epoch in learn_gate("0110", seed=7).epochs:
        assert epoch.errors == sum(one != other for one, other in zip("0110", answered_by(epoch), strict=True))


def answered_by(epoch) -> str:
    return answered(activation(corner, epoch.weights, epoch.bias) for corner in CORNERS)


def test_epochs_are_numbered_from_the_start_and_end_after_so_many():
    epochs = learn_gate("0110").epochs
    assert [epoch.number for epoch in epochs] == list(range(MAX_EPOCHS + 1))


def test_the_same_seed_is_the_same_training_and_another_is_not():
    assert learn_gate("0111", seed=1) == learn_gate("0111", seed=1) != learn_gate("0111", seed=2)
