"""What the system says, against what it says elsewhere."""

import os
import time
from pathlib import Path

import pytest

from service.observability.machine import free_bytes, oom_kills, resident_bytes, start_time
from tests.support.processes import in_status


def test_kills_for_want_of_memory_are_read_where_the_system_counts_them(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\nhigh 0\nmax 12\noom 4\noom_kill 3\noom_group_kill 0\n")
    assert oom_kills(events) == 3
    events.write_text("low 0\n")
    assert oom_kills(events) is None
    assert oom_kills(tmp_path / "elsewhere") is None


def test_free_bytes_are_those_of_the_file_system_and_of_no_folder_there_are_none(tmp_path: Path) -> None:
    before = free_bytes(tmp_path)
    assert before
    system = os.statvfs(tmp_path)
    assert before == pytest.approx(system.f_bavail * system.f_frsize, rel=0.1)
    assert free_bytes(tmp_path / "gone") is None


def test_memory_is_what_the_status_of_the_process_says() -> None:
    assert resident_bytes() == pytest.approx(1024 * in_status(os.getpid(), "VmRSS"), rel=0.1)


def test_a_process_was_started_before_now_and_after_the_machine() -> None:
    started = start_time()
    assert time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) - 60 < started < time.time()
    assert started == start_time()
