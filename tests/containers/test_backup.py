"""The backup of the models volume and its restoration into another one, by the commands of docs/operations.md."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import section
from tests.support.project import ROOT
from tests.support.stack import Stack
from tests.support.waiting import until

BACKUP, RESTORE = (
    line for line in section("docs/operations.md", "## Backup and restore").splitlines() if "flock train" in line
)
ASK = "import json, urllib.request as it; print(json.load(it.urlopen('http://127.0.0.1:3000/model', timeout=5))['version'])"


@pytest.fixture
def other(images: None) -> Iterator[Stack]:
    stack = Stack("digits-restored")
    yield stack
    stack.compose("down", "-v", "--timeout", "1")


def run_in(stack: Stack, command: str, folder: Path) -> None:
    code = command.replace("models.tar", f"{folder}/models.tar")
    subprocess.run(["/bin/sh", "-c", code], cwd=ROOT, env=os.environ | stack.environment, check=True)


def version_answered(container: str) -> str:
    asked = subprocess.run(["docker", "exec", container, "python", "-c", ASK], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def test_a_volume_restored_from_a_backup_serves_the_same_version(stack: Stack, other: Stack, tmp_path: Path) -> None:
    run_in(stack, BACKUP, tmp_path)
    run_in(other, RESTORE, tmp_path)
    run_in(other, RESTORE, tmp_path)  # over what is there, too
    served = version_answered(stack.containers("service")[0])
    assert served
    with other.another("service") as container:
        until(lambda: version_answered(container) == served, what="the restored volume's version is served")
