"""All servers, all scenarios, in rounds; the medians as tables and as one JSON object."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.bench import Bench, Measurement, serving
from benchmarks.report import Options, Report, number, say, table
from benchmarks.scenarios import Scenario, all_scenarios
from benchmarks.servers import OURS, Server

NOT_OFFERED = "not offered"


@dataclass(frozen=True)
class Figures:
    """Medians over the rounds of what one scenario showed of one server."""

    requests_per_second: float
    images_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_request: float


@dataclass(frozen=True)
class Visit:
    """What one server showed in one round; a scenario that it does not offer is missing from `measurements`."""

    server: Server
    start_seconds: float
    memory_mib: float
    measurements: dict[Scenario, Measurement]


def visit(server: Server, bench: Bench, scenarios: Iterable[Scenario], seconds: int, warm_up_seconds: int) -> Visit:
    """Start `server`, measure every scenario that it offers, and stop it."""
    measurements = {}
    with serving(server, bench) as running:
        for scenario in scenarios:
            if running.offers(scenario):
                if warm_up_seconds:
                    running.drive(scenario, warm_up_seconds)
                measurements[scenario] = running.measure(scenario, seconds)
        return Visit(server, running.start_seconds, running.memory_mib(), measurements)


def figures_of(scenario: Scenario, measurements: Sequence[Measurement]) -> Figures:
    """Return the medians of `measurements`, one a round."""
    rate = median(each.load.requests_per_second for each in measurements)
    return Figures(
        rate,
        rate * scenario.num_images,
        median(each.load.p50_ms for each in measurements),
        median(each.load.p99_ms for each in measurements),
        median(each.cpu_us_per_request for each in measurements),
    )


@dataclass(frozen=True)
class Comparison:
    """What all rounds showed."""

    visits: Sequence[Visit]

    @property
    def servers(self) -> list[Server]:
        return list(dict.fromkeys(each.server for each in self.visits))

    @property
    def scenarios(self) -> list[Scenario]:
        measured = {scenario for each in self.visits for scenario in each.measurements}
        return [each for each in all_scenarios() if each in measured]

    def figures(self, server: Server, scenario: Scenario) -> Figures | None:
        """Return the medians, or None where `server` does not offer `scenario`."""
        rounds = [each.measurements.get(scenario) for each in self.visits if each.server == server]
        measured = [each for each in rounds if each]
        return figures_of(scenario, measured) if measured else None

    def start_seconds(self, server: Server) -> float:
        return median(each.start_seconds for each in self.visits if each.server == server)

    def memory_mib(self, server: Server) -> float:
        return median(each.memory_mib for each in self.visits if each.server == server)


def markdown(comparison: Comparison) -> str:
    """Return the tables: one for each scenario, and one of start and memory."""
    tables = [f"### {scenario}\n\n{_scenario_table(comparison, scenario)}" for scenario in comparison.scenarios]
    return "\n\n".join([*tables, f"### Start and memory\n\n{_process_table(comparison)}"])


def _scenario_table(comparison: Comparison, scenario: Scenario) -> str:
    ours = comparison.figures(OURS, scenario)
    head = ("server", "requests/s", "images/s", "p50, ms", "p99, ms", "CPU, µs/request", "ours ÷ this")
    rows = []
    for server in comparison.servers:
        figures = comparison.figures(server, scenario)
        rows.append([server.title, *_cells(figures, ours)])
    return table(head, rows)


def _cells(figures: Figures | None, ours: Figures | None) -> list[str]:
    if figures is None:
        return [NOT_OFFERED, *[""] * 5]
    ratio = f"{ours.requests_per_second / figures.requests_per_second:.2f}" if ours else ""
    return [
        number(figures.requests_per_second),
        number(figures.images_per_second),
        f"{figures.p50_ms:.2f}",
        f"{figures.p99_ms:.2f}",
        number(figures.cpu_us_per_request),
        ratio,
    ]


def _process_table(comparison: Comparison) -> str:
    rows = [
        [each.title, f"{comparison.start_seconds(each):.1f}", number(comparison.memory_mib(each))]
        for each in comparison.servers
    ]
    return table(("server", "start to first correct answer, s", "memory after load (PSS, all processes), MiB"), rows)


def as_document(comparison: Comparison) -> dict[str, Any]:
    """Return the medians as what becomes one JSON object."""
    return {
        server.name: {
            "start_seconds": comparison.start_seconds(server),
            "memory_mib": comparison.memory_mib(server),
            "scenarios": {
                str(scenario): vars(figures)
                for scenario in comparison.scenarios
                if (figures := comparison.figures(server, scenario))
            },
        }
        for server in comparison.servers
    }


def compare(bench: Bench, options: Options) -> Report:
    """Visit every server once a round, so that noise hits all alike."""
    visits = []
    for round_number in range(1, options.rounds + 1):
        for server in options.servers:
            say(f"round {round_number} of {options.rounds}: {server.title}")
            visits.append(visit(server, bench, options.scenarios, options.seconds or 4, options.warm_up_seconds))
    comparison = Comparison(visits)
    return Report(markdown(comparison), as_document(comparison))
