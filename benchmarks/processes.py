"""A server's tree of processes: started on chosen cores, what it used of processor and memory, stopped whole."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
_STOP_SECONDS = 15


@contextlib.contextmanager
def started(command: Sequence[str], cores: set[int], environment: Mapping[str, str], log: Path) -> Iterator[psutil.Process]:
    """Run `command` on `cores`, with its children and theirs, until the block ends."""
    pinned = ["taskset", "-c", ",".join(map(str, sorted(cores))), *command]
    with log.open("wb") as out:
        process = subprocess.Popen(
            pinned, cwd=ROOT, env=os.environ | environment, stdout=out, stderr=out, start_new_session=True
        )
    root = psutil.Process(process.pid)
    try:
        yield root
    finally:
        _stop(process, tree(root))


def _stop(process: subprocess.Popen, members: list[psutil.Process]) -> None:
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
    # The next server is not to share its core with what is left of this one.
    deadline = time.monotonic() + _STOP_SECONDS
    while not all(map(has_ended, members)) and time.monotonic() < deadline:
        time.sleep(0.01)


def tree(root: psutil.Process) -> list[psutil.Process]:
    """Return `root` and all its living descendants; none where it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [root, *root.children(recursive=True)]
    return []


def has_ended(root: psutil.Process) -> bool:
    """Say whether `root` itself has ended, be it that nobody has asked for its exit code yet."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return root.status() == psutil.STATUS_ZOMBIE
    return True


def cpu_seconds(root: psutil.Process) -> float:
    """Return the processor seconds that the tree of `root` has used, with those of children that have ended."""
    total = 0.0
    for member in tree(root):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = member.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_mib(root: psutil.Process) -> float:
    """Return the resident memory of the tree of `root` as PSS: a page that n processes share counts 1/n in each."""
    total = 0.0
    for member in tree(root):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += memory_mib_of(member)
    return total


def memory_mib_of(process: psutil.Process) -> float:
    """Return the PSS of one process."""
    return process.memory_full_info().pss / 2**20


def require_on(root: psutil.Process, cores: set[int]) -> None:
    """Raise RuntimeError where a process of the tree of `root` may run on other cores than `cores`."""
    for member in tree(root):
        with contextlib.suppress(psutil.NoSuchProcess):
            allowed = set(member.cpu_affinity())
            if not allowed <= cores:
                raise RuntimeError(f"{member.name()} may run on the cores {allowed}; it was started on {cores}.")


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
