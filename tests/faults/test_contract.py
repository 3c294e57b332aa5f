"""The document at /docs.json against the service that it describes, by schemathesis."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.serving import Server

# It cannot draw a digit: a PNG of its making is blank, which no schema says.
NOT_CHECKED = "positive_data_acceptance"


def run_schemathesis(server: Server, examples: int, tmp_path: Path) -> str:
    """Let it try what the document allows and what it does not, with all its checks, and return what it found."""
    options = ["--checks=all", f"--exclude-checks={NOT_CHECKED}", "--phases=coverage,fuzzing", "--seed=0", "--warnings=off"]
    finished = subprocess.run(
        [Path(sys.executable).parent / "schemathesis", "run", f"{server.url}/docs.json", *options, f"-n {examples}"],
        cwd=tmp_path,  # where it leaves its notes
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


def test_the_service_does_what_its_document_says(server: Server, tmp_path: Path) -> None:
    print(run_schemathesis(server, 10, tmp_path)[-300:])


@pytest.mark.slow
def test_the_service_does_what_its_document_says_at_length(server: Server, tmp_path: Path) -> None:
    print(run_schemathesis(server, 60, tmp_path)[-300:])
