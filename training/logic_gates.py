"""What perceptrons learn of AND, OR and XOR, in words and truth tables."""

from rich.console import Console
from rich.table import Table

from models.perceptron import CORNERS, GATES, Unit, learn_gate, learn_gate_with_hidden_layer

NO_LINE = (
    "No line can separate XOR. It would need b < 0 for (0, 0), w1 + b > 0 for (1, 0), w2 + b > 0 for (0, 1) and w1 + w2 + b < "
    "0 for (1, 1). The middle two add up to w1 + w2 + 2b > 0, the outer two to w1 + w2 + 2b < 0: it cannot be both."
)


def print_gates(console: Console) -> None:
    """Train a perceptron on each gate and print what it learned; for what it cannot learn, the network that can."""
    for gate, target in GATES.items():
        unit = learn_gate(target)
        console.print(f"{gate}: {_verdict(unit)}", highlight=False)
        console.print(_truth_table(gate, target, [("perceptron", unit)]))
        if not unit.learned:
            _print_network(console, gate, target)


def _print_network(console: Console, gate: str, target: str) -> None:
    console.print(f"\n{NO_LINE}\n\n{gate} with a hidden layer of two perceptrons:", highlight=False)
    left, right, output = learn_gate_with_hidden_layer(target)
    for name, unit in (("left", left), ("right", right), ("output", output)):
        console.print(f"  {name}: {_verdict(unit)}", highlight=False)
    console.print(_truth_table(gate, target, [("left", left), ("right", right)], output))


def _verdict(unit: Unit) -> str:
    last = unit.epochs[-1]
    if not unit.learned:
        return f"still {last.errors} of 4 wrong after {last.number} epochs."
    terms = " ".join(f"{weight:+.2f}·x{place}" for place, weight in enumerate(last.weights, start=1))
    return f"learned after {last.number} epochs: 1 where {terms} {last.bias:+.2f} > 0."


def _truth_table(gate: str, target: str, units: list[tuple[str, Unit]], output: Unit | None = None) -> Table:
    names = [name for name, _ in units] + (["output"] if output else [])
    table = Table("x1", "x2", *names, gate, "", box=None, padding=(0, 2, 0, 0))
    for corner, wanted in zip(CORNERS, target, strict=True):
        answers = [unit.answer(corner) for _, unit in units]
        answers += [output.answer(tuple(answers))] if output else []
        shown = ["1" if answer > 0 else "0" for answer in answers]
        table.add_row(*map(str, corner), *shown, wanted, "" if shown[-1] == wanted else "wrong")
    return table
