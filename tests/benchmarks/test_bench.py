"""The harness on the fastest server that it has, the bare uvicorn app."""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.answers import WrongAnswerError
from benchmarks.bench import Bench, serving, write_constants
from benchmarks.compare import visit
from benchmarks.scenarios import JSON, RAW, SQUARE_JSON, Scenario
from benchmarks.servers import OURS, SERVERS
from benchmarks.wrk import LoadError
from training.data import Mnist

FLOOR = next(each for each in SERVERS if each.name == "uvicorn-floor")
pytestmark = pytest.mark.skipif(
    shutil.which("wrk") is None or not {0, 1} <= os.sched_getaffinity(0), reason="needs wrk and the cores 0 and 1"
)


@pytest.fixture
def bench(mnist: Mnist, tmp_path: Path) -> Bench:
    """Return a bench whose expected answers are made up; the floor answers whatever is expected."""
    expected = np.random.default_rng(0).dirichlet(np.ones(10), 1024).astype(np.float32)
    bench = Bench(tmp_path, tmp_path, mnist.test.images[:1024], expected)
    write_constants(bench)
    return bench


def test_a_visit_measures_what_the_server_offers_and_leaves_out_the_rest(bench: Bench) -> None:
    offered, missing = Scenario(RAW, 64, 4), Scenario(SQUARE_JSON, 1, 1)
    seen = visit(FLOOR, bench, [offered, missing], seconds=1, warm_up_seconds=0)
    assert seen.measurements.keys() == {offered}
    assert seen.measurements[offered].load.requests > 10
    assert seen.measurements[offered].server_cpu_seconds > 0
    assert seen.memory_mib > 5
    assert 0 < seen.start_seconds < 30


def test_an_answer_that_is_not_what_keras_computes_fails_before_anything_is_timed(bench: Bench) -> None:
    other = dataclasses.replace(bench, expected=bench.expected + np.float32(1e-4))
    with pytest.raises(WrongAnswerError, match=r"a probability is 0\.0001 away"):
        visit(FLOOR, other, [Scenario(JSON, 1, 1)], seconds=1, warm_up_seconds=0)


def test_a_wrong_answer_in_a_later_scenario_names_server_and_scenario(bench: Bench) -> None:
    expected = bench.expected.copy()
    expected[63] += np.float32(1e-4)
    other = dataclasses.replace(bench, expected=expected)
    with pytest.raises(WrongAnswerError, match="uvicorn-floor, 64 images, JSON, 4 connections"):
        visit(FLOOR, other, [Scenario(JSON, 64, 4)], seconds=1, warm_up_seconds=0)


def test_a_load_whose_answers_are_errors_fails_with_the_end_of_the_log(bench: Bench) -> None:
    with serving(FLOOR, bench) as running, pytest.raises(LoadError, match=r"(?s)'status': \d+.*KeyError"):
        running.measure(Scenario(JSON, 7, 1), seconds=1)  # no constant is stored for seven images


def test_a_server_that_ends_before_it_answers_is_reported_with_its_log(bench: Bench) -> None:
    broken = dataclasses.replace(OURS, command=("cat", "no-such-file"))
    with pytest.raises(RuntimeError, match=r"(?s)ours ended before.*No such file"), serving(broken, bench):
        pass
