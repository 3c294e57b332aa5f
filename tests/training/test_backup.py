"""The backup of a store and its restoration, by the commands of docs/operations.md."""

import os
import shutil
import subprocess
from pathlib import Path

import httpx

from models.digits import MODEL_NAME
from tests.support.command_line import version_in
from tests.support.documents import section
from tests.support.serving import serving
from tests.support.store import copy_version, corrupt
from tests.support.training import run_training


def run(command: str, home: Path) -> None:
    subprocess.run(["/bin/sh", "-c", command], env=os.environ | {"BENTOML_HOME": str(home)}, check=True)


def test_a_restored_store_serves_the_same_version_and_remembers_what_was_served_before(home: Path):
    backup, restore = (
        line for line in section("docs/operations.md", "## Backup and restore").splitlines() if " cp -a " in line
    )
    versions, first = home / "models" / MODEL_NAME, version_in(home)
    copy_version(versions, first, "second")
    assert run_training(home, "rollback", "second").returncode == 0
    listed = run_training(home, "list").stdout
    run(backup, home)
    assert run_training(home, "rollback", first).returncode == 0
    corrupt(versions / "second")
    run(restore, home)
    assert run_training(home, "list").stdout == listed
    shutil.rmtree(home / "models")
    run(restore, home)
    assert run_training(home, "list").stdout == listed
    assert (home / "models" / f"{MODEL_NAME}.history").read_text() == f"-{first}\n+second\n"
    with serving(home) as server:
        assert httpx.get(f"{server.url}/model").json()["version"] == "second"
