"""How the command line is used: its commands, its options, its help, and what it says to mistakes."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import Finished, assert_fails_in_a_sentence, last_line
from training.commands import run
from training.data import read_mnist
from training.recipes import RECIPES
from training.tutorial import fit_one_batch

pytestmark = pytest.mark.usefixtures("versions_folder")

ONE_STEP = ("--recipe", "tutorial", "--steps", "1")


RunHere = Callable[..., Finished]


@pytest.fixture
def run_here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunHere:
    """Return a function that runs the command line in this process."""
    monkeypatch.setenv("COLUMNS", "200")

    def run_with(*words: str) -> Finished:
        code = run(words)
        out, err = capsys.readouterr()
        return Finished(words, code, out, err)

    return run_with


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_the_commands_the_options_their_defaults_and_the_exit_codes(run_here: RunHere, option: str):
    finished = run_here(option)
    assert finished.returncode == 0
    shown = " ".join(finished.stdout.split())
    for words in (
        "(default: RECIPE or baseline)",
        "(default: 0)",
        "20 in baseline",
        "100 in tutorial",
        "0.005 in baseline",
        "512 in baseline",
        "data/mnist)",
        "(default: off)",
        "list Show",
        "rollback Make",
        "gates Show",
        "train Train",
        "2 wrong usage",
    ):
        assert words in shown, words


@pytest.mark.parametrize(("named", "recipe"), [("tutorial", "tutorial"), ("", "baseline")])
def test_the_recipe_may_be_named_in_the_environment_as_make_and_compose_do(
    run_here: RunHere, monkeypatch: pytest.MonkeyPatch, tiny_data: Path, named: str, recipe: str
):
    monkeypatch.setenv("RECIPE", named)
    steps = "--steps" if recipe == "tutorial" else "--epochs"
    assert last_line(run_here("--quiet", steps, "1", "--data", str(tiny_data)))["recipe"] == recipe


def test_each_command_has_help_of_its_own(run_here: RunHere):
    shown = {command: run_here(command, "--help").stdout for command in ("train", "list", "rollback", "gates")}
    assert all(text.startswith(f"Usage: python -m training {command} ") for command, text in shown.items())
    assert "--learning-rate" in shown["train"]
    assert "[VERSION]" in shown["rollback"]


def test_the_command_train_may_be_left_out(run_here: RunHere):
    with_it, without = (run_here(*words, *ONE_STEP) for words in (("train",), ()))
    assert with_it.stdout.splitlines()[:-1] == without.stdout.splitlines()[:-1]
    assert last_line(with_it) | {"fit_seconds": 0} == last_line(without) | {"fit_seconds": 0}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--learnin-rate", "0.1"), "No such option '--learnin-rate'. Did you mean '--learning-rate'?"),
        (("0.1",), "No such command '0.1'."),
        (("lst",), "No such command 'lst'. Did you mean 'list'?"),
        (("--seed", "1", "list"), "Got unexpected extra argument (list)"),
        (("list", "all"), "Got unexpected extra argument (all)"),
        (("list", "--seed", "1"), "No such option '--seed'."),
        (("--seed",), "Option '--seed' requires an argument."),
        (("--seed", "-1"), "seed is -1; a whole number from 0 to 4294967295 is expected."),
        (("--epochs", "0"), "epochs is 0; at least 1 is expected."),
        (("--epochs", "ten"), "Invalid value for '--epochs': 'ten' is not a valid integer."),
        (("--learning-rate", "0"), "learning_rate is 0.0; a number above 0 is expected."),
        (("--learning-rate", "fast"), "Invalid value for '--learning-rate': 'fast' is not a valid float."),
        (("--batch-size", "0"), "batch_size is 0; at least 1 is expected."),
        (
            ("--recipe", "resnet"),
            "Invalid value for '--recipe': 'resnet' is not one of 'baseline', 'sgd', 'tutorial', 'deskew', 'conv'.",
        ),
        (("--steps", "7"), "--steps is 7, but baseline learns in epochs: use --epochs."),
        (("--recipe", "tutorial", "--epochs", "7"), "--epochs is 7, but tutorial learns in steps: use --steps."),
        (("--recipe", "tutorial", "--steps", "0"), "steps is 0; at least 1 is expected."),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, tuple) else "",
)
def test_a_mistake_in_usage_is_said_in_one_sentence(run_here: RunHere, words: tuple[str, ...], sentence: str):
    finished = run_here(*words)
    assert_fails_in_a_sentence(finished, 2)
    assert finished.stderr == f"error: {sentence}\n"


def test_learning_rate_and_batch_size_are_those_of_the_fit(run_here: RunHere):
    finished = run_here(*ONE_STEP, "--learning-rate", "0.3", "--batch-size", "7", "--seed", "5")
    changes = {"epochs": 1, "learning_rate": 0.3, "batch_size": 7, "seed": 5}
    assert last_line(finished).items() >= changes.items()
    assert losses_in(finished.stdout) == expected_losses(**changes)
    assert "on the 7 images of the batch" in " ".join(finished.stdout.split())


def test_the_seed_is_that_of_the_data_too(run_here: RunHere):
    # Of the untrained step 0, whose weights are those of the seed: the loss tells which batch was drawn.
    assert losses_in(run_here(*ONE_STEP, "--seed", "3").stdout) == expected_losses(epochs=1, seed=3)


def losses_in(stdout: str) -> list[str]:
    return re.findall(r"^step \d+ loss (\S+)", stdout, re.MULTILINE)


def expected_losses(seed: int, **changes: float) -> list[str]:
    recipe = dataclasses.replace(RECIPES["tutorial"], seed=seed, **changes)
    return [f"{loss:.6f}" for loss in fit_one_batch(recipe, read_mnist(seed=seed).train).history.train_loss]
