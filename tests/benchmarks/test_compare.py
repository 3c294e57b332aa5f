from benchmarks.bench import Measurement
from benchmarks.compare import NOT_OFFERED, Comparison, Visit, as_document, markdown
from benchmarks.report import number, table
from benchmarks.scenarios import JSON, RAW, Scenario
from benchmarks.servers import OURS, SERVERS
from benchmarks.wrk import Load

FLOOR = SERVERS[1]
JSON_64, RAW_64 = Scenario(JSON, 64, 4), Scenario(RAW, 64, 4)


def measurement(requests: int, cpu_seconds: float = 0.5) -> Measurement:
    return Measurement(Load(requests, 2.0, p50_ms=requests / 100, p99_ms=9, max_ms=10), cpu_seconds)


# The last round was disturbed.
COMPARISON = Comparison(
    [
        Visit(OURS, 3.0, 200, {JSON_64: measurement(2000)}),
        Visit(FLOOR, 0.4, 20, {JSON_64: measurement(8000), RAW_64: measurement(100)}),
        Visit(OURS, 3.2, 210, {JSON_64: measurement(2200)}),
        Visit(FLOOR, 0.4, 20, {JSON_64: measurement(8000), RAW_64: measurement(100)}),
        Visit(OURS, 9.0, 220, {JSON_64: measurement(10)}),
        Visit(FLOOR, 0.4, 20, {JSON_64: measurement(8000), RAW_64: measurement(100)}),
    ]
)


def test_the_figures_are_medians_over_the_rounds() -> None:
    figures = COMPARISON.figures(OURS, JSON_64)
    assert figures is not None
    assert (figures.requests_per_second, figures.images_per_second, figures.p50_ms) == (1000, 64_000, 20)
    assert figures.cpu_us_per_request == 250
    assert (COMPARISON.start_seconds(OURS), COMPARISON.memory_mib(OURS)) == (3.2, 210)


def test_the_tables_show_ratios_and_what_is_not_offered() -> None:
    text = markdown(COMPARISON)
    assert "| this service | 1,000 | 64,000 | 20.00 | 9.00 | 250 | 1.00 |" in text
    assert "| 4,000 | 256,000 | 80.00 | 9.00 | 62.5 | 0.25 |" in text
    assert f"| this service | {NOT_OFFERED} |" in text


def test_the_document_holds_what_was_measured_and_no_more() -> None:
    document = as_document(COMPARISON)
    assert document["ours"]["scenarios"].keys() == {str(JSON_64)}
    assert document[FLOOR.name]["scenarios"].keys() == {str(JSON_64), str(RAW_64)}


def test_numbers_are_readable() -> None:
    assert [number(value) for value in (12345.6, 99.94, 1.234)] == ["12,346", "99.9", "1.23"]
    assert table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
