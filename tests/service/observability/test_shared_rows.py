"""Rows of real processes, which are killed."""

import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from service.observability.shared_rows import SharedRows, share_rows
from tests.support.serving import ROOT

WORKER = """
from service.observability.shared_rows import SharedRows
rows = SharedRows(3)
rows.own[2] += 1
print(flush=True)
input()
"""


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Let this process and its children share memory, and return its file."""
    environment: dict[str, str] = {}
    share_rows(environment)
    (file,) = map(int, environment.values())
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield file
    os.close(file)


def worker(file: int) -> subprocess.Popen[str]:
    """Start a process that adds 1 to the last number of its row, and return it once it has."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, pass_fds=[file], **pipes)
    assert process.stdout
    assert process.stdout.readline() == "\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_each_live_worker_has_a_row_and_who_follows_a_killed_one_counts_on_in_its_row(shared: int) -> None:
    first, second = worker(shared), worker(shared)
    here = SharedRows(3)
    here.own[2] += 5
    rows, is_live = here.read()
    assert (rows[:, 2].tolist(), is_live.tolist()) == ([1, 1, 5], [True, True, True])
    kill(first)
    rows, is_live = here.read()
    assert (rows[:, 2].tolist(), is_live.tolist()) == ([1, 1, 5], [False, True, True])
    third = worker(shared)
    rows, is_live = here.read()
    assert (rows[:, 2].tolist(), is_live.tolist()) == ([2, 1, 5], [True, True, True])
    for process in (second, third):
        kill(process)
    assert here.read()[1].tolist() == [False, False, True]


def test_looking_who_lives_takes_no_row_away(shared: int) -> None:
    process = worker(shared)
    here = SharedRows(3)
    kill(process)
    assert here.read()[1].tolist() == [False, True]
    again = worker(shared)
    assert here.read()[1].tolist() == [True, True]
    kill(again)


def test_a_process_that_shares_with_nobody_is_alone() -> None:
    one, other = SharedRows(3), SharedRows(1000)
    one.own[0] = 1
    assert other.read()[0].sum() == 0
    assert one.read()[0].shape[1] >= 3
    assert other.read()[0].shape[1] >= 1000


def test_a_row_is_written_through_at_once(shared: int) -> None:
    here = SharedRows(600)  # more than a page
    here.own[599] = 0.1
    assert np.frombuffer(os.pread(shared, 8, 599 * 8))[0] == 0.1


def test_all_who_share_are_one_instance_and_others_are_another(shared: int) -> None:
    code = "from service.observability.shared_rows import SharedRows; print(SharedRows(3).instance)"
    there = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, pass_fds=[shared], text=True).strip()
    alone = {**os.environ, "DIGIT_CLASSIFIER_METRICS_FD": ""}
    other = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=alone, text=True).strip()
    assert SharedRows(3).instance == SharedRows(3).instance == there != other
