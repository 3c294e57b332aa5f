"""wrk as a function: one load on one address, and what wrk counted."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scenarios import Form

_SCRIPT = Path(__file__).parent / "report.lua"
# The slowest peers take seconds for 1,024 images; wrk's own limit, 2 s, would count those as errors.
_TIMEOUT_SECONDS = 60


class LoadError(Exception):
    """A load could not be run, or not every answer was a success, so that its figures mean nothing."""


@dataclass(frozen=True)
class Load:
    """What wrk counted: complete answers, the seconds that they took together, and their latencies."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds


def require_wrk() -> None:
    """Raise `LoadError` where wrk is not installed."""
    if shutil.which("wrk") is None:
        raise LoadError("wrk is not installed; install it with `apt-get install wrk` (Debian, Ubuntu).")


@contextlib.contextmanager
def running(url: str, form: Form, body: bytes, connections: int, seconds: int, core: int | None) -> Iterator[subprocess.Popen]:
    """Drive `url` for `seconds` from `core` (None: from any) while the block runs; `load_of` reads the result."""
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={_TIMEOUT_SECONDS}s"]
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        environment = os.environ | {
            "WRK_BODY_FILE": file.name,
            "WRK_CONTENT_TYPE": form.content_type,
            "WRK_ACCEPT": form.accept,
        }
        command = [*pinned, "wrk", *options, "-s", str(_SCRIPT), url]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def load_of(process: subprocess.Popen) -> Load:
    """Wait for wrk and return what it counted.

    Raises:
        LoadError: wrk failed, or a request did.
    """
    output, _ = process.communicate()
    if process.returncode:
        raise LoadError(f"wrk ended with {process.returncode}: {output.strip()}")
    return parse(output)


def drive(url: str, form: Form, body: bytes, connections: int, seconds: int, core: int | None) -> Load:
    """Drive `url` for `seconds` and return what wrk counted."""
    with running(url, form, body, connections, seconds, core) as process:
        return load_of(process)


def parse(output: str) -> Load:
    """Return what the script's JSON line, the last of wrk's output, says.

    Raises:
        LoadError: there is no such line, no request was answered, or one failed.
    """
    try:
        counted = json.loads(output.strip().rpartition("\n")[2])
    except json.JSONDecodeError:
        raise LoadError(f"wrk's output does not end with a line of JSON: {output[-400:]!r}") from None
    failed = {kind: count for kind, count in counted["errors"].items() if count}
    if failed:
        raise LoadError(f"{counted['requests']} requests were answered, but these failed: {failed}.")
    if not counted["requests"]:
        raise LoadError(f"no request was answered in {counted['duration_us'] / 1e6:.1f} s; make the load longer (--seconds).")
    return Load(
        counted["requests"],
        counted["duration_us"] / 1e6,
        counted["p50_us"] / 1e3,
        counted["p99_us"] / 1e3,
        counted["max_us"] / 1e3,
    )
