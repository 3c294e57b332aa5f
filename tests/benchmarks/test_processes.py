import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks import processes

# A parent that burns nothing, and a child that burns processor time until it is killed.
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
print(child.pid, flush=True)
time.sleep(60)
"""
# A parent whose child burns half a second and ends.
ENDED_CHILD = """
import subprocess, sys, time
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.5: pass"])
print("done", flush=True)
time.sleep(60)
"""
CORE = min(os.sched_getaffinity(0))


def wait_for(log: Path) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if text := log.read_text():
            return text
        time.sleep(0.05)
    raise AssertionError("the child was not started")


def test_the_time_of_a_child_is_counted_and_stopping_leaves_none(tmp_path: Path) -> None:
    with processes.started([sys.executable, "-c", FAMILY], {CORE}, {}, tmp_path / "log") as root:
        child = psutil.Process(int(wait_for(tmp_path / "log")))
        assert child in processes.tree(root)
        before, began = processes.cpu_seconds(root), child.cpu_times().user
        while child.cpu_times().user < began + 0.2:
            time.sleep(0.02)
        assert processes.cpu_seconds(root) - before >= 0.15  # in ticks of 10 ms
        processes.require_on(root, {CORE})
        assert processes.memory_mib(root) > processes.memory_mib_of(root) > 1
        assert not processes.has_ended(child)
    assert processes.has_ended(child)
    assert processes.has_ended(root)


def test_the_time_of_a_child_that_ended_is_counted(tmp_path: Path) -> None:
    with processes.started([sys.executable, "-c", ENDED_CHILD], {CORE}, {}, tmp_path / "log") as root:
        wait_for(tmp_path / "log")
        assert processes.cpu_seconds(root) >= 0.4  # of 0.5, in ticks of 10 ms


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_process_that_left_its_core_is_noticed(tmp_path: Path) -> None:
    with processes.started([sys.executable, "-c", FAMILY], {CORE}, {}, tmp_path / "log") as root:
        wait_for(tmp_path / "log")
        root.children()[0].cpu_affinity(list(os.sched_getaffinity(0)))
        with pytest.raises(RuntimeError, match="may run on the cores"):
            processes.require_on(root, {CORE})
