"""More than one replica behind the proxy: balanced, drained, killed, and brought back."""

import time
from collections.abc import Iterator

import pytest

from tests.support.stack import Stack, answers_seven, docker, inspected, load
from tests.support.waiting import until

READY = "digit_classifier:ready_replicas"
ANSWERED = 'sum by (instance) (digit_classifier_requests_total{route="/predict", status="200"}) > 0'
KILL_WORKER = """
import os, signal
for pid in filter(str.isdigit, os.listdir('/proc')):
    if b'_bentoml_impl' + b'.worker' in open(f'/proc/{pid}/cmdline', 'rb').read():
        os.kill(int(pid), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def three(stack: Stack) -> Iterator[Stack]:
    """Return the stack with three replicas, all of them in rotation."""
    stack.up(3)
    until(lambda: stack.value(READY) == 3, 30, "three replicas are in rotation")
    yield stack
    until(lambda: all(is_healthy(each) for each in stack.containers("service")), 60, "all are well")
    stack.up(1)


def is_healthy(container: str) -> bool:
    return inspected(container)["State"]["Health"]["Status"] == "healthy"


def test_predictions_are_answered_by_all_three(three: Stack) -> None:
    with load(three.url) as asked:
        until(lambda: len(three.query(ANSWERED)) == 3, 30, "all three answered")
    assert set(asked.outcomes) == {"answered"}


def test_stopping_a_replica_under_load_loses_nothing(three: Stack, figures: dict[str, str]) -> None:
    leaving = three.containers("service")[0]
    with load(three.url) as asked:
        began = time.monotonic()
        docker("stop", leaving)
        seconds = time.monotonic() - began
        time.sleep(2)
    figures["docker stop of one of three under load, s"] = f"{seconds:.1f}"
    figures["requests meanwhile, and what became of them"] = str(dict(asked.outcomes))
    assert set(asked.outcomes) == {"answered"}
    assert inspected(leaving)["State"]["ExitCode"] == 0
    assert 3 <= seconds < 20
    docker("start", leaving)
    until(lambda: three.value(READY) == 3, 30, "it is back in rotation")


def test_a_replica_whose_worker_is_killed_leaves_the_rotation_within_2_seconds(three: Stack) -> None:
    docker("exec", three.containers("service")[0], "python", "-c", KILL_WORKER)
    time.sleep(2)
    # What is routed to it would wait for BentoML's supervisor, whose socket goes on accepting.
    assert all(answers_seven(three.url, seconds=3) for _ in range(30))
    until(lambda: three.value(READY) == 3, 40, "it is back in rotation")


def test_the_only_replica_stops_without_breaking_off_an_answer(three: Stack, figures: dict[str, str]) -> None:
    three.up(1)
    until(lambda: three.value(READY) == 1, 30, "one replica is in rotation")
    only = three.containers("service")[0]
    with load(three.url) as asked:
        docker("stop", only)
        time.sleep(1)
    assert inspected(only)["State"]["ExitCode"] == 0
    refused = '503 {"error":"no replica is ready; try again in some seconds."}'
    assert set(asked.outcomes) == {"answered", refused}
    docker("start", only)
    until(lambda: answers_seven(three.url), 30, "it is back")


def test_a_killed_worker_is_replaced(three: Stack, figures: dict[str, str]) -> None:
    container = three.containers("service")[0]
    restarts = inspected(container)["RestartCount"]
    assert answers_seven(three.url)
    docker("exec", container, "python", "-c", KILL_WORKER)
    assert not answers_seven(three.url)
    seconds = until(lambda: answers_seven(three.url), 30, "it answers again") + 1
    figures["kill -9 of the only worker to the next answer, s"] = f"{seconds:.1f}"
    assert seconds <= 15
    assert inspected(container)["RestartCount"] == restarts  # by supervision inside
