"""The training's command line as a process: started, read from, and judged by what it says and leaves."""

import json
import os
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

from models.digits import MODEL_NAME
from tests.support.project import ROOT

Finished = CompletedProcess[str]


def version_in(home: Path) -> str:
    return (home / "models" / MODEL_NAME / "latest").read_text()


def last_line(finished: Finished) -> dict[str, Any]:
    return json.loads(finished.stdout.splitlines()[-1])


def assert_fails_in_a_sentence(finished: Finished, code: int = 1) -> None:
    assert finished.returncode == code
    assert finished.stdout == ""
    assert finished.stderr.startswith("error: ")
    assert len(finished.stderr.splitlines()) == 1
    assert "Traceback" not in finished.stderr


def started(home: Path, *command: str) -> Popen[bytes]:
    """Start Python with a store and a folder for temporary files of its own."""
    (home / "temporary").mkdir(parents=True, exist_ok=True)
    return Popen(
        [sys.executable, *command],
        cwd=ROOT,
        # Forced to colours, rich draws the bar into a pipe too.
        env=os.environ | {"BENTOML_HOME": str(home), "TMPDIR": str(home / "temporary"), "FORCE_COLOR": "1", "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def started_with_hooks(home: Path, data: Path, hooks: str, *options: str) -> Popen[bytes]:
    """Start a forced publication from `data` after one epoch, with hooks of `tests.support.store_changes`."""
    words = ("--quiet", "--epochs", "1", "--force", "--data", str(data), *options)
    return started(home, "-m", "tests.support.store_changes", hooks, *words)


def left_in(folder: Path) -> list[Path]:
    """Return what is in a folder for temporary files but what Python caches of the code that TensorFlow makes there."""
    return [path for path in folder.iterdir() if path.name != "__pycache__"]


def assert_interrupted_in_a_sentence(process: Popen[bytes], home: Path, shown: bytes = b"") -> None:
    """Check how `process` ends, of which `shown` was read already, and that it leaves nothing."""
    out, err = process.communicate(timeout=120)
    assert out == b""
    assert err.decode().endswith("error: interrupted; what is served is unchanged.\n")
    assert b"Traceback" not in shown + err
    assert b"Exception ignored" not in shown + err
    assert process.returncode == 130
    versions = home / "models" / MODEL_NAME
    assert not versions.exists() or list(versions.iterdir()) == []
    assert left_in(home / "temporary") == []
