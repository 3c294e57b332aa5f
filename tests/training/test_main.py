import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from models.card import ModelCard
from models.digits import MODEL_NAME as NAME
from tests.support.command_line import assert_interrupted_in_a_sentence, left_in, started, started_with_hooks, version_in
from tests.support.store_changes import SIGNALS


@pytest.fixture
def _signals_are_not_ignored() -> Iterator[None]:
    """Let the processes that are started here be interrupted, also where this one, in a background, ignores signals."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def read_until(process: Popen[bytes], words: bytes) -> bytes:
    assert process.stderr is not None
    shown = b""
    while words not in shown and (read := os.read(process.stderr.fileno(), 4096)):
        shown += read
    return shown


@pytest.mark.usefixtures("_signals_are_not_ignored")
@pytest.mark.parametrize("number", [SIGNALS[0], *(pytest.param(each, marks=pytest.mark.slow) for each in SIGNALS[1:])])
def test_a_signal_during_the_fit_ends_it_in_a_sentence_and_nothing_is_published(tmp_path: Path, number: signal.Signals):
    process = started(tmp_path, "-m", "training", "--epochs", "2000")
    shown = read_until(process, b"loss 0.")
    process.send_signal(number)
    assert_interrupted_in_a_sentence(process, tmp_path, shown)


@pytest.mark.usefixtures("_signals_are_not_ignored")
@pytest.mark.parametrize("module", ["click", "numpy", "pydantic", "rich.console"])
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
    process = started(tmp_path, "-m", "training", "--quiet", "--epochs", "1", "--force")
    while not list((tmp_path / "temporary").rglob("model.keras")):
        assert process.poll() is None
        time.sleep(0.01)
    send_many(process)
    assert_interrupted_in_a_sentence(process, tmp_path)


def send_many(process: Popen[bytes]) -> None:
    for number in (*SIGNALS, signal.SIGINT, signal.SIGINT, *SIGNALS):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.usefixtures("_signals_are_not_ignored")
def test_many_signals_while_a_version_is_copied_into_the_store_leave_nothing_of_it(tmp_path: Path, tiny_data: Path):
    process = started_with_hooks(tmp_path, tiny_data, "be_interrupted@12")
    assert_interrupted_in_a_sentence(process, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("_signals_are_not_ignored")
def test_many_signals_while_what_is_unfinished_is_removed_leave_at_most_that(home: Path, tiny_data: Path):
    served = version_in(home)
    process = started_with_hooks(home, tiny_data, "find_the_disk_full@20,be_interrupted@22")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, b"")
    assert err.decode() == "error: interrupted; what is served is unchanged.\n"
    assert version_in(home) == served
    assert left_in(home / "temporary") == []


@pytest.mark.usefixtures("_signals_are_not_ignored")
def test_many_signals_from_the_last_change_on_come_too_late(tmp_path: Path, tiny_data: Path):
    process = started_with_hooks(tmp_path, tiny_data, "be_interrupted@last")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")
    version = version_in(tmp_path)
    assert json.loads(out)["model"] == f"{NAME}:{version}"
    folder = tmp_path / "models" / NAME / version
    ModelCard.read(folder).check_files(folder)
    assert left_in(tmp_path / "temporary") == []
