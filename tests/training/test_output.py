import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.digits import MODEL_NAME as NAME
from tests.support.command_line import Finished, assert_fails_in_a_sentence, version_in
from tests.support.disks import small_disk
from tests.support.project import ROOT
from tests.support.training import run_training


def run_into(target: Path, home: Path, *arguments: str) -> Finished:
    """Run the command line with `target` as standard output."""
    with target.open("w") as stdout:
        return subprocess.run(
            [sys.executable, "-m", "training", *arguments],
            cwd=ROOT,
            env=os.environ | {"BENTOML_HOME": str(home)},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )


def test_a_table_that_cannot_be_printed_is_not_blamed_on_the_store(tmp_path: Path, tiny_data: Path):
    finished = run_into(Path("/dev/full"), tmp_path, "--data", str(tiny_data), "--epochs", "1", "--force")
    assert finished.returncode == 1
    last = finished.stderr.splitlines()[-1]
    assert last == ("error: standard output cannot be written to: No space left on device; what is served is unchanged.")
    assert not (tmp_path / "models" / NAME).exists()


def test_a_result_that_cannot_be_printed_comes_with_what_was_published(tmp_path: Path, tiny_data: Path):
    finished = run_into(Path("/dev/full"), tmp_path, "--quiet", "--data", str(tiny_data), "--epochs", "1", "--force")
    tag = f"{NAME}:{version_in(tmp_path)}"
    assert finished.returncode == 1
    assert finished.stderr == (
        f"error: {tag} is published and served now, but standard output cannot be written to: No space left on device.\n"
    )


def test_where_a_version_is_served_if_none_succeeds_though_it_cannot_be_printed(published_home: Path):
    finished = run_into(Path("/dev/full"), published_home, "--if-none", "--data", "/nowhere")
    assert (finished.returncode, finished.stderr) == (0, "")


def test_a_rollback_that_cannot_be_printed_is_said_to_have_happened(published_home: Path, tmp_path: Path):
    home = Path(shutil.copytree(published_home, tmp_path / "home"))
    version = version_in(home)
    finished = run_into(Path("/dev/full"), home, "rollback", version)
    assert finished.returncode == 1
    assert finished.stderr.startswith(f"error: {NAME}:{version} is the served version now, but standard output cannot ")


@pytest.mark.parametrize("quiet", [pytest.param(("--quiet",), id="quiet", marks=pytest.mark.slow), pytest.param((), id="loud")])
def test_a_reader_that_has_gone_is_an_error_in_a_sentence(tmp_path: Path, tiny_data: Path, quiet: tuple[str, ...]):
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "training", "--data", str(tiny_data), "--epochs", "1", *quiet]
    environment = os.environ | {"BENTOML_HOME": str(tmp_path)}
    finished = subprocess.run(command, cwd=ROOT, env=environment, stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert finished.returncode == 1
    said = finished.stderr.decode()
    assert said.endswith("error: standard output cannot be written to: Broken pipe; what is served is unchanged.\n")
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(tmp_path: Path, tiny_data: Path):
    with small_disk(tmp_path / "disk", "250k") as home:
        finished = run_training(home, "--quiet", "--data", str(tiny_data), "--epochs", "1", "--force")
        assert_fails_in_a_sentence(finished)
        assert finished.stderr == (
            f"error: no space left on the disk (the model store at {home / 'models'}); what is served is unchanged.\n"
        )
        assert list((home / "models" / NAME).iterdir()) == []
        assert {path.name for path in (home / "models").iterdir()} == {NAME, f"{NAME}.lock"}


@pytest.mark.slow
@pytest.mark.parametrize("size", ["60k", "200k"])
def test_a_full_disk_for_temporary_files_is_not_blamed_on_the_store(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, size: str
):
    with small_disk(tmp_path / "disk", size) as folder:
        monkeypatch.setenv("TMPDIR", str(folder))
        finished = run_training(tmp_path / "home", "--quiet", "--data", str(tiny_data), "--epochs", "1", "--force")
        assert_fails_in_a_sentence(finished)
        assert f"no space left on the disk (temporary files in {folder})" in finished.stderr
        assert list(folder.iterdir()) == []
