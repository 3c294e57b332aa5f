"""A process with a heartbeat, as a worker has one."""

import subprocess
import sys

from tests.support.project import ROOT

# Begins as the worker whose index it is told, and then has got as far as each number that it is told.
WORKER = """
import asyncio, sys
from service.process.heartbeat import Heartbeats
heartbeats, index = Heartbeats.shared(), int(sys.argv[1])
print(heartbeats.begin(index), flush=True)
async def beat():
    for line in sys.stdin:
        beating = asyncio.create_task(heartbeats.beat(index, lambda: int(line)))
        await asyncio.sleep(0)
        beating.cancel()
        print(line, end="", flush=True)
asyncio.run(beat())
"""


class Worker(subprocess.Popen[str]):
    """A process with a heartbeat, and whether it follows one that the watchdog has killed."""

    def __init__(self, index: int) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        super().__init__([sys.executable, "-c", WORKER, str(index)], cwd=ROOT, close_fds=False, **pipes)
        self.follows_a_killed_one = self._said() == "True"

    def has_got(self, progress: int) -> None:
        assert self.stdin
        print(progress, file=self.stdin, flush=True)
        assert self._said() == str(progress)

    def _said(self) -> str:
        assert self.stdout
        return self.stdout.readline().strip()
