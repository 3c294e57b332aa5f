"""Whole publications from the command line: killed, and two at once."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bentoml._internal.models import ModelStore

from models.card import CARD_FILE, ModelCard
from models.digits import MODEL_NAME
from tests.support.command_line import last_line, started_with_hooks, version_in
from tests.support.project import ROOT
from tests.support.training import run_training


def assert_served(home: Path, version: str) -> None:
    folder = home / "models" / MODEL_NAME / version_in(home)
    assert folder.name == version
    ModelCard.read(folder).check_files(folder)


@pytest.mark.parametrize("change", [8, *(pytest.param(number, marks=pytest.mark.slow) for number in (3, 5, 12, 20, 24))])
def test_a_run_killed_while_it_publishes_leaves_what_is_served_and_the_next_one_removes_the_rest(
    home: Path, tiny_data: Path, change: int
):
    versions, served = home / "models" / MODEL_NAME, version_in(home)
    process = started_with_hooks(home, tiny_data, f"die@{change}")
    assert process.communicate(timeout=120)[0] == b""
    assert process.returncode == -signal.SIGKILL
    assert_served(home, served)
    listed = ModelStore(home / "models").list()  # as `bentoml models list` does, which one bad folder would end
    assert served in {str(model.tag.version) for model in listed}
    finished = run_training(home, "--quiet", "--data", str(tiny_data), "--epochs", "1", "--force")
    assert finished.returncode == 0, finished.stderr
    assert_served(home, last_line(finished)["model"].partition(":")[2])
    assert all((path / CARD_FILE).exists() for path in versions.iterdir() if path.is_dir())
    assert {path.name for path in versions.iterdir()} >= {served, version_in(home), "latest"}
    assert len(list(versions.iterdir())) == 3


def test_of_two_publications_at_once_both_say_what_they_did_and_one_is_served(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
):
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    monkeypatch.setenv("MEETING", str(meeting))
    first = started_with_hooks(tmp_path, tiny_data, "meet_another@last")
    second = started_with_hooks(tmp_path, tiny_data, "meet_another@last", "--seed", "1")
    while not list(meeting.iterdir()):
        assert first.poll() is None
        assert second.poll() is None
        time.sleep(0.05)
    time.sleep(3)  # for the other to come as far, where nothing keeps it from that
    (meeting / "go").touch()
    ended = [process.communicate(timeout=120) for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0], ended
    published = [json.loads(out)["model"].partition(":")[2] for out, _ in ended]
    assert len(set(published)) == 2
    assert version_in(tmp_path) in published
    for version in published:
        folder = tmp_path / "models" / MODEL_NAME / version
        ModelCard.read(folder).check_files(folder)
    assert {path.name for path in (tmp_path / "models" / MODEL_NAME).iterdir()} == {*published, "latest"}


def bentoml(home: Path, *words: str) -> str:
    code = f"import sys; from bentoml_cli.cli import cli; sys.argv = ['bentoml', *{words!r}]; cli()"
    environment = {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
    return subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=environment, text=True)


def test_what_is_published_is_a_model_for_bentomls_own_commands(home: Path, tmp_path: Path):
    version = version_in(home)
    tag = f"{MODEL_NAME}:{version}"
    assert json.loads(bentoml(home, "models", "list", "-o", "json"))[0]["tag"] == tag
    assert json.loads(bentoml(home, "models", "get", f"{MODEL_NAME}:latest", "-o", "json"))["labels"] == {"recipe": "baseline"}
    bentoml(home, "models", "export", tag, str(tmp_path / "exported.bentomodel"))
    other = tmp_path / "other"
    bentoml(other, "models", "import", str(tmp_path / "exported.bentomodel"))
    assert_served(other, version)
    bentoml(home, "models", "delete", tag, "--yes")
    assert "No version is published yet" in run_training(home, "list").stdout
