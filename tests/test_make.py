"""What `make` says where it cannot do what it is asked for."""

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.project import ROOT


def refused_serve(home: Path, port: object) -> str:
    """Run `make serve`, which is to fail before any training, and return what it says."""
    finished = subprocess.run(
        ["make", "serve", f"PORT={port}"],
        cwd=ROOT,
        env=os.environ | {"BENTOML_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode != 0
    assert "Traceback" not in finished.stderr
    assert not (home / "models").exists()
    return finished.stderr


def test_a_port_that_is_taken_is_said_in_a_sentence_and_before_any_training(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = refused_serve(tmp_path, port)
    assert message.startswith(f"Port {port} is taken: stop what listens there, or choose another: make serve PORT=")


@pytest.mark.parametrize("port", ["abc", "80000", "1 2", "'"])
def test_what_is_no_port_is_said_in_a_sentence_and_before_any_training(tmp_path: Path, port: str) -> None:
    assert f"{port!r} is not a port: a number from 0 to 65535 is expected" in refused_serve(tmp_path, port)


def test_help_describes_every_target_in_one_column() -> None:
    # Within `make test` a second make says which folder it enters.
    lines = subprocess.check_output(["make", "--no-print-directory", "help"], cwd=ROOT, text=True).splitlines()
    described = [re.fullmatch(r"([a-z-]+)( +)(.+)", line) for line in lines]
    assert all(described), lines
    assert len({each.start(3) for each in described if each}) == 1
    assert {"serve", "train", "containers"} <= {each[1] for each in described if each}
    assert min(len(each[2]) for each in described if each) >= 2
