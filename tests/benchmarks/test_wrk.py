import json

import pytest

from benchmarks import wrk
from benchmarks.wrk import LoadError, parse

COUNTED = {
    "requests": 4000,
    "duration_us": 2_000_000,
    "p50_us": 1500,
    "p99_us": 4000,
    "max_us": 9000,
    "bytes": 1,
    "errors": {"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0},
}


def output(**changes: object) -> str:
    return f"Running 2s test\n  1 threads\nRequests/sec: 1.0\n{json.dumps(COUNTED | changes)}\n"


def test_the_figures_come_from_the_last_line() -> None:
    load = parse(output())
    assert (load.requests, load.seconds, load.requests_per_second) == (4000, 2.0, 2000.0)
    assert (load.p50_ms, load.p99_ms, load.max_ms) == (1.5, 4.0, 9.0)


@pytest.mark.parametrize("kind", COUNTED["errors"])
def test_one_failed_request_fails_the_run(kind: str) -> None:
    with pytest.raises(LoadError, match=f"'{kind}': 1"):
        parse(output(errors=COUNTED["errors"] | {kind: 1}))


def test_a_load_without_any_answer_is_no_measurement() -> None:
    with pytest.raises(LoadError, match="no request was answered"):
        parse(output(requests=0))


@pytest.mark.parametrize("text", ["", "unable to connect to 127.0.0.1:1 Connection refused\n"])
def test_output_without_the_line_is_shown(text: str) -> None:
    with pytest.raises(LoadError, match="does not end with a line of JSON"):
        parse(text)


def test_a_missing_wrk_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LoadError, match="apt-get install wrk"):
        wrk.require_wrk()
