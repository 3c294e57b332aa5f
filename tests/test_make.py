"""What `make` says where it cannot do what it is asked for."""

import os
import socket
import subprocess
from pathlib import Path

from tests.support.project import ROOT


def test_a_port_that_is_taken_is_said_in_a_sentence_and_before_any_training(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = subprocess.run(
            ["make", "serve", f"PORT={port}"],
            cwd=ROOT,
            env=os.environ | {"BENTOML_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert finished.returncode != 0
    assert finished.stderr.startswith(f"Port {port} is taken: stop what listens there, or choose another: make serve PORT=")
    assert "Traceback" not in finished.stderr
    assert not (tmp_path / "models").exists()
