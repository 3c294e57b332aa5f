"""What every report is made of: the options that it is given, its tables and its figures."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.scenarios import Scenario
from benchmarks.servers import Server


@dataclass(frozen=True)
class Options:
    """What the command line may choose; `seconds` None leaves each load as long as the report is used to."""

    servers: tuple[Server, ...]
    scenarios: tuple[Scenario, ...]
    rounds: int
    seconds: int | None
    warm_up_seconds: int


@dataclass(frozen=True)
class Report:
    """Tables to read, and the same figures for scripts."""

    markdown: str
    document: dict[str, Any]


def say(progress: str) -> None:
    """Tell the user how far it is, apart from the report."""
    print(progress, file=sys.stderr, flush=True)


def number(value: float) -> str:
    """Return `value` with thousands parted: three digits, or all of them before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are figures and stand to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
