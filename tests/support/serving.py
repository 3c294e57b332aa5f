"""A real `bentoml serve` over sockets, on a store of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from service.protocols.media_types import JSON
from tests.support.processes import in_status
from tests.support.project import ROOT

START_SECONDS = 60


@dataclass
class Server:
    """A running service, where it answers and where it logs."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"_bentoml_impl.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def memory_kib(self) -> int:
        """Return what all workers together hold in memory."""
        return self._sum_of_status("VmRSS")

    def peak_kib(self) -> int:
        """Return the most that each worker ever held, or has since `forget_peak`, added up."""
        return self._sum_of_status("VmHWM")

    def forget_peak(self) -> None:
        for pid in self.workers():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def threads(self) -> int:
        return self._sum_of_status("Threads")

    def open_files(self) -> int:
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.workers())

    def cpu_seconds(self) -> float:
        """Return the processor time that the workers have taken so far."""
        ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in self.workers()]
        return sum(int(each) for pair in ticks for each in pair) / os.sysconf("SC_CLK_TCK")

    def _sum_of_status(self, field: str) -> int:
        return sum(in_status(pid, field) for pid in self.workers())

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    def connect(self, seconds: float | None = None) -> socket.socket:
        """Return a connection on which sending and receiving may each take `seconds`."""
        return socket.create_connection(self.address, seconds)

    def predict(self, content: bytes, content_type: str | None = JSON, query: str = "", **headers: str) -> httpx.Response:
        """Ask for a prediction; underscores in names of headers stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        described = {"content-type": content_type} if content_type else {}
        return httpx.post(f"{self.url}/predict{query}", content=content, headers=described | named, timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(home: Path, bento: str = ".", cwd: Path = ROOT, port: int | None = None, **settings: str) -> Iterator[Server]:
    """Run `bentoml serve` with `settings` in its environment until the block ends."""
    if "MUTANTS_HOME" in os.environ:
        pytest.skip("a service starts too slowly to be started for every mutant")
    port, log = port or free_port(), home / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "bentoml", "serve", bento, "--port", str(port)],
            cwd=cwd,
            env=os.environ | {"BENTOML_HOME": str(home)} | settings,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(f"http://{settings.get('BENTOML_HOST') or '127.0.0.1'}:{port}", process, log)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{server.url}/readyz", timeout=1).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"the service did not become ready:\n{server.log.read_text()}")
