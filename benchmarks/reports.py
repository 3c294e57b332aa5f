"""The reports: the comparison, and what only this service is asked."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from benchmarks.bench import Bench
from benchmarks.compare import Comparison, as_document, markdown, visit
from benchmarks.scenarios import all_scenarios
from benchmarks.servers import Server


@dataclass(frozen=True)
class Options:
    """What the command line may choose; `seconds` None leaves each load as long as the report is used to."""

    servers: tuple[Server, ...]
    rounds: int
    seconds: int | None
    warm_up_seconds: int


@dataclass(frozen=True)
class Report:
    """Tables to read, and the same figures for scripts."""

    markdown: str
    document: dict[str, Any]


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


def compare(bench: Bench, options: Options) -> Report:
    """Visit every server once a round, so that noise hits all alike."""
    visits = []
    for number in range(1, options.rounds + 1):
        for server in options.servers:
            _say(f"round {number} of {options.rounds}: {server.title}")
            visits.append(visit(server, bench, all_scenarios(), options.seconds or 4, options.warm_up_seconds))
    comparison = Comparison(visits)
    return Report(markdown(comparison), as_document(comparison))


REPORTS: Mapping[str, Callable[[Bench, Options], Report]] = MappingProxyType({"compare": compare})
