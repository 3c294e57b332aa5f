"""Numbers of all workers of one run, in memory that they share: a row for each, which outlives its worker.

The memory is a file without a name, which workers inherit from the process that starts them. So no other run can reach it, not
even one with the same BENTOML_HOME, and the system frees it with the last of them: nothing is left behind to be removed.
"""

import fcntl
import itertools
import mmap
import os
import socket
from collections.abc import MutableMapping

import numpy as np
from numpy.typing import NDArray

_FILE = "DIGIT_CLASSIFIER_METRICS_FD"


def share_rows(environment: MutableMapping[str, str]) -> None:
    """Make the memory for workers that are started with `environment` and inherit the open files of this process."""
    environment[_FILE] = str(os.memfd_create("metrics", flags=0))  # without MFD_CLOEXEC: to be inherited


class SharedRows:
    """A table of float64 with a row of `width` for each worker, of which this one writes its own."""

    def __init__(self, width: int) -> None:
        shared = os.environ.get(_FILE)
        self._file = int(shared) if shared else os.memfd_create("metrics")
        self._bytes = -(-8 * width // mmap.PAGESIZE) * mmap.PAGESIZE  # a map begins at a page
        self._own = next(row for row in itertools.count() if self._lock(row))
        start = self._own * self._bytes
        os.posix_fallocate(self._file, start, self._bytes)  # unlike ftruncate, it never takes away another worker's row
        # To be kept: unmapping closes a copy of the file, and a process that closes any copy gives up all its locks.
        self.own = memoryview(mmap.mmap(self._file, self._bytes, offset=start)).cast("d")

    def _lock(self, row: int) -> bool:
        """Take a row, or say that another live process has it: the system unlocks what a process had, however it ends."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, row)
        except OSError:
            return False
        return True

    @property
    def instance(self) -> str:
        """Name this run among those of all machines: all its workers are one, and started again it is another."""
        return f"{socket.gethostname()}-{os.fstat(self._file).st_ino:08x}"

    def _is_live(self, row: int) -> bool:
        if row == self._own or not self._lock(row):
            return True
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, row)
        return False

    def read(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return all rows that ever were, (R, at least `width`), and which of them have a live worker, (R,)."""
        numbers = np.frombuffer(os.pread(self._file, os.fstat(self._file).st_size, 0))
        rows = numbers.reshape(-1, self._bytes // 8)
        return rows, np.array([self._is_live(row) for row in range(len(rows))])
