import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from models.card import LITERT_FILE, ModelCard
from tests.support.project import ROOT
from tests.support.training import run_training
from training import publish
from training.__main__ import main

NAME = "digit-classifier"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

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
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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
    assert not versions_folder.exists()


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


@pytest.fixture
def damaged_home(published_home: Path, tmp_path: Path) -> Path:
    """Return a store with two versions, "whole" and the served one, whose graph is damaged."""
    home = Path(shutil.copytree(published_home, tmp_path / "home"))
    versions, served = home / "models" / NAME, version_in(home)
    shutil.copytree(versions / served, versions / "whole")
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


def test_if_none_trains_where_the_served_version_cannot_be_served(damaged_home: Path, tiny_data: Path):
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
    for words in (
        "(default: baseline)",
        "(default: 0)",
        "20 in baseline",
        "data/mnist)",
        "(default: off)",
        "list",
        "rollback",
        "2 used wrongly",
    ):
        assert words in shown


def test_a_missing_data_folder_is_refused_in_a_sentence(tmp_path: Path):
    finished = run_training(tmp_path, "--data", str(tmp_path / "nowhere"))
    assert_refused_in_a_sentence(finished)
    assert f"{tmp_path / 'nowhere'} has neither train-images-idx3-ubyte" in finished.stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--epochs", "0"), ("--seed", "-1"), ("--epochs", "ten"), ("--recipe", "resnet")]
)
def test_a_setting_that_cannot_be_is_wrong_usage_named_by_option_and_value(tmp_path: Path, option: str, value: str):
    finished = run_training(tmp_path, option, value)
    assert (finished.returncode, finished.stdout) == (2, "")
    last = finished.stderr.splitlines()[-1]
    assert last.startswith("python -m training: error: ")
    assert option.removeprefix("--") in last
    assert value in last


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


# What cannot be written


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
    assert last == ("error: standard output cannot be written to: No space left on device; nothing was changed in the store.")
    assert not (tmp_path / "models" / NAME).exists()


def test_a_result_that_cannot_be_printed_comes_with_what_was_published(tmp_path: Path, tiny_data: Path):
    finished = run_into(Path("/dev/full"), tmp_path, "--quiet", "--data", str(tiny_data), "--epochs", "1", "--force")
    tag = f"{NAME}:{version_in(tmp_path)}"
    assert finished.returncode == 1
    assert finished.stderr == (
        f"error: published as {tag}, but standard output cannot be written to: No space left on device.\n"
    )


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
    assert said.endswith("error: standard output cannot be written to: Broken pipe; nothing was changed in the store.\n")
    assert "Traceback" not in said


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount an empty disk of `size` at `folder`, or skip the test where this may not be done."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("no disk may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount")
def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(tmp_path: Path, tiny_data: Path):
    with small_disk(tmp_path / "disk", "250k") as home:
        finished = run_training(home, "--quiet", "--data", str(tiny_data), "--epochs", "1", "--force")
        assert_refused_in_a_sentence(finished)
        assert finished.stderr == (
            f"error: no space left on the disk (the model store at {home / 'models'}); nothing was changed in the store.\n"
        )
        assert list((home / "models").iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount")
@pytest.mark.parametrize("size", ["60k", "200k"])
def test_a_full_disk_for_temporary_files_is_not_blamed_on_the_store(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, size: str
):
    with small_disk(tmp_path / "disk", size) as folder:
        monkeypatch.setenv("TMPDIR", str(folder))
        finished = run_training(tmp_path / "home", "--quiet", "--data", str(tiny_data), "--epochs", "1", "--force")
        assert_refused_in_a_sentence(finished)
        assert f"no space left on the disk (temporary files in {folder})" in finished.stderr
        assert list(folder.iterdir()) == []


# What interrupts


@pytest.fixture
def _signals_are_not_ignored() -> Iterator[None]:
    """Let the processes that are started here be interrupted, also where this one, in a background, ignores signals."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def left_in(folder: Path) -> list[Path]:
    """Return what is in a folder for temporary files but what Python caches of the code that TensorFlow makes there."""
    return [path for path in folder.iterdir() if path.name != "__pycache__"]


def started(home: Path, *command: str) -> subprocess.Popen[bytes]:
    """Start Python with a store and a folder for temporary files of its own."""
    (home / "temporary").mkdir(parents=True)
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        # Forced to colours, rich draws the bar into a pipe too.
        env=os.environ | {"BENTOML_HOME": str(home), "TMPDIR": str(home / "temporary"), "FORCE_COLOR": "1", "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def read_until(process: subprocess.Popen[bytes], words: bytes) -> bytes:
    assert process.stderr is not None
    shown = b""
    while words not in shown and (read := os.read(process.stderr.fileno(), 4096)):
        shown += read
    return shown


def assert_interrupted_in_a_sentence(process: subprocess.Popen[bytes], home: Path, shown: bytes = b"") -> None:
    out, err = process.communicate(timeout=120)
    assert out == b""
    assert err.decode().endswith("error: interrupted; nothing was changed in the store.\n")
    assert b"Traceback" not in shown + err
    assert b"Exception ignored" not in shown + err
    assert process.returncode == 130
    assert not (home / "models" / NAME).exists()
    assert left_in(home / "temporary") == []


@pytest.mark.usefixtures("_signals_are_not_ignored")
@pytest.mark.parametrize("number", [SIGNALS[0], *(pytest.param(each, marks=pytest.mark.slow) for each in SIGNALS[1:])])
def test_a_signal_during_the_fit_ends_it_in_a_sentence_and_nothing_is_published(tmp_path: Path, number: signal.Signals):
    process = started(tmp_path, "-m", "training", "--epochs", "2000")
    shown = read_until(process, b"loss 0.")
    process.send_signal(number)
    assert_interrupted_in_a_sentence(process, tmp_path, shown)


@pytest.mark.usefixtures("_signals_are_not_ignored")
@pytest.mark.parametrize("module", ["argparse", "numpy", "pydantic", "rich.console"])
def test_a_signal_while_modules_are_imported_ends_the_run_in_a_sentence(tmp_path: Path, module: str):
    process = started(tmp_path, "-X", "importtime", "-m", "training")  # says on standard error what it has imported
    read_until(process, f" {module}".encode())
    process.send_signal(signal.SIGINT)
    assert_interrupted_in_a_sentence(process, tmp_path)


@pytest.mark.usefixtures("_signals_are_not_ignored")
def test_a_signal_while_tensorflow_is_imported_ends_the_run_in_a_sentence(tmp_path: Path):
    process = started(tmp_path, "-m", "training")
    while "tensorflow" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert_interrupted_in_a_sentence(process, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("_signals_are_not_ignored")
def test_many_signals_while_the_files_of_a_version_are_made_end_the_run_in_a_sentence(tmp_path: Path):
    process = started(tmp_path, "-m", "training", "--quiet", "--epochs", "1")
    while not list((tmp_path / "temporary").glob(f"{NAME}-*/model.keras")):
        assert process.poll() is None
        time.sleep(0.001)
    send_many(process)
    assert_interrupted_in_a_sentence(process, tmp_path)


def send_many(process: subprocess.Popen[bytes]) -> None:
    for number in (*SIGNALS, signal.SIGINT, signal.SIGINT, *SIGNALS):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        time.sleep(0.001)


# The command line, which sends itself many signals at a moment that no one outside can hit.
UNDER_FIRE = """
import os, shutil, signal, sys
from training import commands, store
from training.__main__ import main

def under_fire(function):
    def call(*arguments, **options):
        for number in 3 * (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
        return function(*arguments, **options)
    return call

def full_disk(*_, **__):
    raise shutil.Error([("from", "to", "[Errno 28] No space left on device: 'to'")])

{changes}
sys.argv = ["training", "--quiet", "--epochs", "1", "--force", *sys.argv[1:]]
sys.exit(main())
"""


def started_under_fire(home: Path, data: Path, changes: str) -> subprocess.Popen[bytes]:
    return started(home, "-c", UNDER_FIRE.replace("{changes}", changes), "--data", str(data))


@pytest.mark.slow
@pytest.mark.usefixtures("_signals_are_not_ignored")
def test_many_signals_while_a_version_is_copied_into_the_store_leave_nothing_of_it(tmp_path: Path, tiny_data: Path):
    process = started_under_fire(tmp_path, tiny_data, "shutil.copytree = under_fire(shutil.copytree)")
    assert_interrupted_in_a_sentence(process, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("_signals_are_not_ignored")
def test_many_signals_during_the_undoing_do_not_stop_it(tmp_path: Path, tiny_data: Path):
    changes = "shutil.copytree, store._undo = full_disk, under_fire(store._undo)"
    process = started_under_fire(tmp_path, tiny_data, changes)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, b"")
    assert err.decode().startswith("error: no space left on the disk (the model store at ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "models" / NAME).exists()
    assert left_in(tmp_path / "temporary") == []


@pytest.mark.slow
@pytest.mark.usefixtures("_signals_are_not_ignored")
def test_many_signals_after_the_publication_come_too_late(tmp_path: Path, tiny_data: Path):
    process = started_under_fire(tmp_path, tiny_data, "commands._print_last_line = under_fire(commands._print_last_line)")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")
    version = version_in(tmp_path)
    assert json.loads(out)["model"] == f"{NAME}:{version}"
    folder = tmp_path / "models" / NAME / version
    ModelCard.read(folder).check_files(folder)
    assert left_in(tmp_path / "temporary") == []
