"""A `bentoml serve` that is to fail before it serves."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.serving import ROOT, free_port


def refused_start(home: Path, port: int | None = None, **settings: str) -> str:
    """Run `bentoml serve`, which is to fail before it serves, and return what it printed."""
    port = free_port() if port is None else port
    finished = subprocess.run(
        [Path(sys.executable).parent / "bentoml", "serve", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"BENTOML_HOME": str(home)} | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 1
    assert "Traceback" not in finished.stdout + finished.stderr
    return finished.stderr
