"""How far each worker has got, in memory that it shares with its supervisor."""

import asyncio
import os
import struct
from collections.abc import Callable, MutableMapping
from typing import NamedTuple, Self

_FILE = "DIGIT_CLASSIFIER_HEARTBEATS_FD"
_ROW, _HEARTBEAT = struct.Struct("3q"), struct.Struct("2q")
_INTERVAL_SECONDS = 0.5


class Heartbeat(NamedTuple):
    """What a worker last wrote, and whether the watchdog has killed it since. While it starts, its `progress` is 0."""

    pid: int
    progress: int
    was_killed: int


class Heartbeats:
    """The last heartbeat of each worker, by its index, in a file without a name."""

    def __init__(self, file: int) -> None:
        self._file = file

    @classmethod
    def to_share(cls, environment: MutableMapping[str, str]) -> Self:
        """Make those of workers that are started with `environment` and inherit the open files of this process."""
        file = os.memfd_create("heartbeats", flags=0)  # without MFD_CLOEXEC: to be inherited
        environment[_FILE] = str(file)
        return cls(file)

    @classmethod
    def shared(cls) -> Self:
        """Return those that this process has inherited, or, without a supervisor, some that nobody reads."""
        file = os.environ.get(_FILE)
        return cls(int(file) if file else os.memfd_create("heartbeats"))

    def begin(self, worker: int) -> bool:
        """Say that this process is now the worker, and return whether the watchdog has killed the one before it."""
        was_killed = any(before.was_killed for before in self.read()[worker : worker + 1])
        os.pwrite(self._file, _ROW.pack(os.getpid(), 0, 0), worker * _ROW.size)
        return was_killed

    async def beat(self, worker: int, progress: Callable[[], int]) -> None:
        """Write the `progress` of the worker, for ever: it stays as it is where the event loop hangs, too."""
        while True:
            # Without the last number, which is the supervisor's.
            os.pwrite(self._file, _HEARTBEAT.pack(os.getpid(), 1 + progress()), worker * _ROW.size)
            await asyncio.sleep(_INTERVAL_SECONDS)

    def read(self) -> list[Heartbeat]:
        """Return the last heartbeat of each worker that ever was."""
        return [Heartbeat(*row) for row in _ROW.iter_unpack(os.pread(self._file, os.fstat(self._file).st_size, 0))]

    def set_killed(self, worker: int) -> None:
        os.pwrite(self._file, struct.pack("q", 1), worker * _ROW.size + _HEARTBEAT.size)
