import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.card import CARD_FILE, LITERT_FILE, ModelCard
from models.digits import MODEL_NAME as NAME
from models.exported import Graph, Outputs
from tests.support.command_line import Finished, assert_fails_in_a_sentence, last_line, version_in
from tests.support.project import ROOT
from tests.support.store import copy_version
from tests.support.training import run_training
from training import commands, export


@pytest.fixture(autouse=True, scope="module")
def _wide_terminal() -> Iterator[None]:
    """Keep tables and help from being wrapped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        yield


@pytest.fixture(scope="module")
def tiny_quiet(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return run_training(tmp_path_factory.mktemp("quiet"), "--quiet", "--data", str(tiny_data), "--epochs", "2")


@pytest.fixture(scope="module")
def forced_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forced")


@pytest.fixture(scope="module")
def tiny_forced(tiny_data: Path, forced_home: Path) -> Finished:
    return run_training(forced_home, "--data", str(tiny_data), "--epochs", "2", "--seed", "3", "--recipe", "sgd", "--force")


def test_quiet_leaves_one_line_of_json_on_standard_output(tiny_quiet: Finished):
    assert len(tiny_quiet.stdout.splitlines()) == 1
    assert last_line(tiny_quiet).keys() >= {"test_accuracy", "validation_accuracy", "fit_seconds", "model"}


def test_quiet_shows_neither_a_bar_nor_the_greetings_of_native_libraries(tiny_quiet: Finished):
    assert len(tiny_quiet.stderr.splitlines()) == 1
    assert tiny_quiet.stderr.startswith("not published: ")


def test_other_data_is_not_published_and_that_is_no_failure(tiny_quiet: Finished):
    result = last_line(tiny_quiet)
    assert tiny_quiet.returncode == 0
    assert result["model"] is None
    assert result["refused"] == "the data is not the bundled MNIST"
    assert "use --force to publish it anyway" in tiny_quiet.stderr


def test_the_last_line_is_json_also_where_there_is_a_table(tiny_forced: Finished):
    assert tiny_forced.returncode == 0
    assert "validation (100)" in tiny_forced.stdout
    assert "epoch 2/2" in tiny_forced.stderr
    result = last_line(tiny_forced)
    assert (result["recipe"], result["seed"], result["epochs"]) == ("sgd", 3, 2)
    assert result["refused"] is None


def test_force_publishes_and_the_card_agrees_with_the_last_line(tiny_forced: Finished, forced_home: Path):
    result, version = last_line(tiny_forced), version_in(forced_home)
    assert result["model"] == f"{NAME}:{version}"
    card = ModelCard.read(forced_home / "models" / NAME / version)
    assert card.forced == "the data is not the bundled MNIST"
    assert not card.bundled_data
    assert result["test_accuracy"] == pytest.approx(card.test.accuracy, abs=1e-6)
    assert result["validation_loss"] == pytest.approx(card.validation.loss, abs=1e-6)


def test_an_export_that_differs_is_a_failure_that_force_is_not_said_to_help(
    tiny_data: Path, versions_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def load_blank(_: Path) -> Graph:
        return lambda images, with_novelty: Outputs(np.zeros((len(images), 10), np.float32), np.ones(len(images), np.float32))

    monkeypatch.setattr(export, "load_litert", load_blank)
    assert commands.run(["--quiet", "--data", str(tiny_data), "--epochs", "1", "--force"]) == 1
    said = capsys.readouterr()
    assert "litert export differs from Keras" in said.err
    assert "--force" not in said.err
    assert json.loads(said.out)["model"] is None
    assert not versions_folder.exists()


def test_list_shows_what_is_published_and_which_is_served(tiny_forced: Finished, forced_home: Path):
    assert tiny_forced.returncode == 0
    row = next(line for line in run_training(forced_home, "list").stdout.splitlines() if version_in(forced_home) in line)
    assert "sgd, seed 3, forced" in row
    assert f"{last_line(tiny_forced)['validation_accuracy']:.2%}" in row
    assert "softmax" in row
    assert f"{last_line(tiny_forced)['test_coverage_at_99']:.1%}" in row
    assert row.rstrip().endswith("served")


def test_list_shows_a_half_written_version_with_its_problem(tmp_path: Path):
    (tmp_path / "models" / NAME / "half").mkdir(parents=True)
    listed = run_training(tmp_path, "list")
    assert listed.returncode == 0
    assert "not published whole" in " ".join(listed.stdout.split())


@pytest.fixture
def damaged_home(published_home: Path, tmp_path: Path) -> Path:
    """Return a store with two versions, "whole" and the served one, which is newer, and whose graph is damaged."""
    home = Path(shutil.copytree(published_home, tmp_path / "home"))
    versions, served = home / "models" / NAME, version_in(home)
    card = copy_version(versions, served, "whole") / CARD_FILE
    card.write_text(json.dumps(json.loads(card.read_text()) | {"created": "2025-01-01T00:00:00Z"}))
    with (versions / served / LITERT_FILE).open("ab") as graph:
        graph.write(b"!")
    return home


def test_list_says_that_the_served_version_cannot_be_served(damaged_home: Path):
    listed = run_training(damaged_home, "list")
    assert listed.returncode == 0
    assert listed.stderr.startswith(f"note: {NAME}:latest names {version_in(damaged_home)}, which cannot be served: ")
    assert f"{LITERT_FILE} differs from" in listed.stderr
    assert "`rollback` makes the newest whole version" in listed.stderr


def test_rollback_from_what_cannot_be_served_says_that_it_took_the_newest_whole_version(damaged_home: Path):
    finished = run_training(damaged_home, "rollback")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout == f"{NAME}:whole is the served version now, the newest whole one.\n"
    assert version_in(damaged_home) == "whole"


def test_if_none_serves_what_latest_named_before_where_that_is_damaged(damaged_home: Path):
    finished = run_training(damaged_home, "--if-none")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert json.loads(finished.stdout) == {"model": f"{NAME}:whole", "trained": False}
    assert version_in(damaged_home) == "whole"


def test_if_none_trains_where_no_version_is_whole(damaged_home: Path, tiny_data: Path):
    (damaged_home / "models" / NAME / "whole" / LITERT_FILE).unlink()
    finished = run_training(damaged_home, "--if-none", "--quiet", "--data", str(tiny_data), "--epochs", "1")
    assert finished.returncode == 0
    assert "which cannot be served" in finished.stderr
    assert last_line(finished)["recipe"] == "baseline"


def test_list_of_an_empty_store_says_how_to_publish(tmp_path: Path):
    assert run_training(tmp_path, "list").stdout == "No version is published yet: python -m training\n"


def test_rollback_prints_which_version_is_served_now(published_home: Path, tmp_path: Path):
    home = Path(shutil.copytree(published_home, tmp_path / "home"))
    version = version_in(home)
    (home / "models" / NAME / "latest").write_text("another")
    finished = run_training(home, "rollback", version)
    assert (finished.returncode, finished.stdout) == (0, f"{NAME}:{version} is the served version now.\n")
    assert version_in(home) == version


def test_rollback_with_nothing_before_is_refused_in_a_sentence(published_home: Path):
    finished = run_training(published_home, "rollback")
    assert_fails_in_a_sentence(finished)
    assert "no version was published before" in finished.stderr


def test_if_none_does_nothing_where_one_is_served(published_home: Path):
    served = version_in(published_home)
    finished = run_training(published_home, "--if-none")
    assert finished.returncode == 0
    assert json.loads(finished.stdout) == {"model": f"{NAME}:{served}", "trained": False}
    assert version_in(published_home) == served


def test_if_none_serves_the_newest_whole_version_of_the_recipe_that_is_named(published_home: Path, tmp_path: Path):
    home = Path(shutil.copytree(published_home, tmp_path / "home"))
    baseline, versions = version_in(home), home / "models" / NAME
    copy_version(versions, baseline, "other")
    card = versions / "other" / CARD_FILE
    card.write_text(card.read_text().replace('"name": "baseline"', '"name": "sgd"'))
    for recipe, version in (("sgd", "other"), ("sgd", "other"), ("baseline", baseline)):
        finished = run_training(home, "--if-none", "--recipe", recipe)
        assert json.loads(finished.stdout) == {"model": f"{NAME}:{version}", "trained": False}
        assert version_in(home) == version


def test_if_none_trains_where_no_version_is_of_the_recipe_that_is_named(home: Path, tiny_data: Path):
    finished = run_training(home, "--if-none", "--recipe", "sgd", "--quiet", "--data", str(tiny_data), "--epochs", "1")
    assert last_line(finished)["recipe"] == "sgd"


def test_a_missing_data_folder_is_refused_in_a_sentence(tmp_path: Path):
    finished = run_training(tmp_path, "--data", str(tmp_path / "nowhere"))
    assert_fails_in_a_sentence(finished)
    assert f"{tmp_path / 'nowhere'} has neither train-images-idx3-ubyte" in finished.stderr


@pytest.mark.parametrize(
    "arguments", [("--quiet", "--epochs", "1", "--force", "--data"), ("list",), ("rollback",)], ids=lambda it: it[0]
)
def test_a_store_that_cannot_be_written_is_refused_in_a_sentence(tmp_path: Path, tiny_data: Path, arguments: tuple[str, ...]):
    (tmp_path / "file").write_text("not a folder")
    finished = run_training(tmp_path / "file" / "home", *arguments, *([str(tiny_data)] if "--data" in arguments else []))
    assert_fails_in_a_sentence(finished)
    assert str(tmp_path / "file" / "home") in finished.stderr


# What people see, who have a terminal


def shown_on_a_terminal(home: Path, *words: str) -> str:
    """Return what the command line writes to a terminal as standard output."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "training", *words]
    environment = os.environ | {"BENTOML_HOME": str(home)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=terminal, stderr=subprocess.DEVNULL)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while read := os.read(controller, 4096):
            shown += read
    os.close(controller)
    assert process.wait() == 0
    return shown.decode().replace("\r\n", "\n")


def test_if_none_says_in_a_sentence_to_people_which_version_there_is(published_home: Path):
    shown = shown_on_a_terminal(published_home, "--if-none")
    assert shown == f"{NAME}:{version_in(published_home)} is published already.\n"


def test_people_who_ask_for_quiet_get_json_and_nothing_else(published_home: Path):
    shown = shown_on_a_terminal(published_home, "--if-none", "--quiet")
    assert json.loads(shown) == {"model": f"{NAME}:{version_in(published_home)}", "trained": False}


def test_a_run_tells_people_in_a_sentence_what_it_published(tmp_path: Path, tiny_data: Path):
    shown = shown_on_a_terminal(tmp_path, "--data", str(tiny_data), "--epochs", "1", "--force")
    assert shown.splitlines()[-1] == f"{NAME}:{version_in(tmp_path)} is published and served now."
    assert "{" not in shown
