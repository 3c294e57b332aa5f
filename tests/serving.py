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

ROOT = Path(__file__).parent.parent

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

    def predict(self, content: bytes, content_type: str | None = "application/json") -> httpx.Response:
        headers = {"content-type": content_type} if content_type else {}
        return httpx.post(f"{self.url}/predict", content=content, headers=headers, timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(home: Path, bento: str = ".", cwd: Path = ROOT, port: int | None = None, **settings: str) -> Iterator[Server]:
    """Run `bentoml serve` with `settings` in its environment until the block ends."""
    port, log = port or free_port(), home / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "bentoml", "serve", bento, "--port", str(port), "--host", "127.0.0.1"],
            cwd=cwd,
            env=os.environ | {"BENTOML_HOME": str(home)} | settings,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
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
