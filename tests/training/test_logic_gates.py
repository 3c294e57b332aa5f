import io
import re

import pytest
from rich.console import Console

from tests.support.training import run_training
from training.logic_gates import print_gates


@pytest.fixture(scope="module")
def printed() -> str:
    console = Console(file=io.StringIO(), width=80)
    print_gates(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def rows_after(printed: str, heading: str) -> list[str]:
    """Return the four rows of the truth table that follows `heading`, without spaces."""
    rows = re.findall(r"^([01 ]+(?:wrong)?)\s*$", printed[printed.index(heading) :], re.MULTILINE)
    return [re.sub(r"\s", "", row) for row in rows[:4]]


def test_and_and_or_are_learned_with_their_truth_tables(printed: str):
    # The columns: x1, x2, what the perceptron answers, what the gate answers.
    assert rows_after(printed, "AND: learned after") == ["0000", "0100", "1000", "1111"]
    assert rows_after(printed, "OR: learned after") == ["0000", "0111", "1011", "1111"]


def test_xor_is_not_learned_and_it_says_why(printed: str):
    assert any(row.endswith("wrong") for row in rows_after(printed, "XOR: still"))
    assert "No line can separate XOR." in printed


def test_xor_is_learned_with_a_hidden_layer(printed: str):
    # The columns: x1, x2, the two hidden units, the output, the gate.
    assert rows_after(printed, "XOR with a hidden layer") == ["000000", "011011", "100111", "110000"]


def test_the_command_line_prints_them(tmp_path, printed: str):
    finished = run_training(tmp_path, "gates")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.split() == printed.split()
