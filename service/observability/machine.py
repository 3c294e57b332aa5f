"""What the system says of this worker and of the machine, as files of Linux have it."""

import os
from pathlib import Path

_MEMORY_EVENTS = Path("/sys/fs/cgroup/memory.events")


def oom_kills(events: Path = _MEMORY_EVENTS) -> int | None:
    """Return how many processes of this container were killed for want of memory; None outside of one, and of cgroup v2."""
    try:
        lines = events.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def free_bytes(folder: Path) -> int | None:
    """Return what may still be written to the file system that `folder` is on; None where there is no such folder."""
    try:
        system = os.statvfs(folder)
    except OSError:
        return None
    return system.f_bavail * system.f_frsize


def resident_bytes() -> int:
    """Return the memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def start_time() -> float:
    """Return when this process was started, in seconds since 1970."""
    # The process's name, which stands in brackets, may have spaces in it.
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return int(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
