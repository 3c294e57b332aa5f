import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from models.card import ModelCard
from tests.conftest import ROOT, run_training
from training import publish
from training.__main__ import main

NAME = "digit-classifier"

Finished = CompletedProcess[str]


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


def version_in(home: Path) -> str:
    return (home / "models" / NAME / "latest").read_text()


def last_line(finished: Finished) -> dict[str, Any]:
    return json.loads(finished.stdout.splitlines()[-1])


def assert_refused_in_a_sentence(finished: Finished) -> None:
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.startswith("error: ")
    assert len(finished.stderr.splitlines()) == 1
    assert "Traceback" not in finished.stderr


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
    assert "--force publishes all the same" in tiny_quiet.stderr


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


@pytest.fixture
def _signals_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_signals_as_before")
def test_an_export_that_differs_is_a_failure_that_force_is_not_said_to_help(
    tiny_data: Path, versions_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(publish, "load_litert", lambda _: lambda images: np.zeros((len(images), 10), np.float32))
    monkeypatch.setattr(sys, "argv", ["training", "--quiet", "--data", str(tiny_data), "--epochs", "1", "--force"])
    assert main() == 1
    said = capsys.readouterr()
    assert "litert export differs from Keras" in said.err
    assert "--force" not in said.err
    assert json.loads(said.out)["model"] is None
    assert not versions_folder.exists() or not any(versions_folder.iterdir())


def test_list_shows_what_is_published_and_which_is_served(tiny_forced: Finished, forced_home: Path):
    assert tiny_forced.returncode == 0
    row = next(line for line in run_training(forced_home, "list").stdout.splitlines() if version_in(forced_home) in line)
    assert "sgd, seed 3, forced" in row
    assert f"{last_line(tiny_forced)['validation_accuracy']:.2%}" in row
    assert row.rstrip().endswith("served")


def test_list_shows_a_half_written_version_with_its_problem(tmp_path: Path):
    (tmp_path / "models" / NAME / "half").mkdir(parents=True)
    listed = run_training(tmp_path, "list")
    assert listed.returncode == 0
    assert "not published whole" in " ".join(listed.stdout.split())


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
    assert_refused_in_a_sentence(finished)
    assert "no version was published before" in finished.stderr


def test_if_none_does_nothing_where_one_is_served(published_home: Path):
    served = version_in(published_home)
    finished = run_training(published_home, "--if-none")
    assert finished.returncode == 0
    assert json.loads(finished.stdout) == {"model": f"{NAME}:{served}", "trained": False}
    assert version_in(published_home) == served


def test_help_names_the_defaults(tmp_path: Path):
    shown = " ".join(run_training(tmp_path, "--help").stdout.split())
    for words in ("(default: baseline)", "(default: 0)", "20 in baseline", "data/mnist)", "(default: off)", "list", "rollback"):
        assert words in shown


def test_a_missing_data_folder_is_refused_in_a_sentence(tmp_path: Path):
    finished = run_training(tmp_path, "--data", str(tmp_path / "nowhere"))
    assert_refused_in_a_sentence(finished)
    assert f"{tmp_path / 'nowhere'} has neither train-images-idx3-ubyte" in finished.stderr


@pytest.mark.parametrize(("option", "value"), [("--epochs", "0"), ("--seed", "-1")])
def test_a_setting_out_of_range_is_refused_in_a_sentence(tmp_path: Path, option: str, value: str):
    finished = run_training(tmp_path, option, value)
    assert_refused_in_a_sentence(finished)
    assert f"{option.removeprefix('--')} is {value}; " in finished.stderr


def test_an_unknown_recipe_is_refused_with_those_that_there_are(tmp_path: Path):
    finished = run_training(tmp_path, "--recipe", "resnet")
    assert finished.returncode == 2
    assert "'resnet'" in finished.stderr
    assert "baseline" in finished.stderr
    assert "sgd" in finished.stderr


@pytest.mark.parametrize("arguments", [("--quiet", "--epochs", "1", "--force"), ("list",), ("rollback",)], ids=lambda it: it[0])
def test_a_store_that_cannot_be_written_is_refused_in_a_sentence(tmp_path: Path, tiny_data: Path, arguments: tuple[str, ...]):
    (tmp_path / "file").write_text("not a folder")
    finished = run_training(tmp_path / "file" / "home", "--data", str(tiny_data), *arguments)
    assert_refused_in_a_sentence(finished)
    assert str(tmp_path / "file" / "home") in finished.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_fit_ends_it_in_a_sentence_and_nothing_is_published(tmp_path: Path, number: signal.Signals):
    process = subprocess.Popen(
        [sys.executable, "-m", "training", "--epochs", "2000"],
        cwd=ROOT,
        # Forced to colours, rich draws the bar into a pipe too.
        env=os.environ | {"BENTOML_HOME": str(tmp_path), "FORCE_COLOR": "1", "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    shown = b""
    while b"loss 0." not in shown and (read := os.read(process.stderr.fileno(), 4096)):
        shown += read
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert err.decode().endswith("error: interrupted; nothing was changed in the store.\n")
    assert b"Traceback" not in shown + err
    assert not (tmp_path / "models" / NAME).exists()
