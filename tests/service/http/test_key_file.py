"""API_KEYS_FILE: what may be in it, and how keys are exchanged while the service runs."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.http.key_file import KeyFile, KeyFileError
from tests.support.refused import refused_start
from tests.support.serving import Server, serving
from tests.support.waiting import until

OLD, NEW, FIXED = "old-key-0123456789", "new-key-0123456789", "fixed-key-0123456789"


def replaced(path: Path, content: str) -> Path:
    """Replace the file by rename, as tools that write secrets do."""
    beside = path.with_suffix(".new")
    beside.write_text(content)
    return beside.replace(path)


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (f"{OLD}\n{NEW}\n", (OLD, NEW)),
        (f"{OLD}, {NEW}", (OLD, NEW)),
        (f"# since May\n\n{OLD}\t# of the shop\r\n  #{NEW}\n", (OLD,)),
        (f"\ufeff{OLD}#1\n", (f"{OLD}#1",)),
    ],
)
def test_keys_stand_in_lines_or_between_commas_beside_comments(tmp_path: Path, content: str, keys: tuple[str, ...]) -> None:
    assert KeyFile(replaced(tmp_path / "keys", content)).keys == keys


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "the file has no key; write one in a line."),
        ("# none yet\n,\n", "the file has no key; write one in a line."),
        (f"{OLD}\nshort-secret\n", "each key needs at least 16 ASCII characters and no spaces."),
        (f"{OLD} {NEW}\n", "each key needs at least 16 ASCII characters and no spaces."),
        ("x" * 65537, "a file of up to 65,536 bytes is expected."),
        (b"\xff\xfe" * 20, "the file is not text in UTF-8."),
        (None, "No such file or directory."),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_a_sentence_that_shows_no_key(
    tmp_path: Path, content: str | bytes | None, expected: str
) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(KeyFileError, match=f"^{re.escape(f'API_KEYS_FILE={path}: {expected}')}$"):
        KeyFile(path)


def test_a_pipe_without_a_writer_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys")
    with pytest.raises(KeyFileError, match="a file of up to"):
        KeyFile(tmp_path / "keys")


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replaced(tmp_path_factory.mktemp("keys") / "keys", OLD)


@pytest.fixture(scope="module")
def guarded(reading_home: Path, key_file: Path) -> Iterator[Server]:
    with serving(reading_home, API_KEYS=FIXED, API_KEYS_FILE=str(key_file)) as server:
        yield server


def accepted(server: Server) -> set[str]:
    answers = {key: httpx.get(f"{server.url}/model", headers={"authorization": f"Bearer {key}"}) for key in (OLD, NEW, FIXED)}
    assert {answer.status_code for answer in answers.values()} <= {200, 401}
    return {key for key, answer in answers.items() if answer.status_code == 200}


def test_keys_are_exchanged_without_a_restart_and_a_broken_file_changes_nothing(guarded: Server, key_file: Path) -> None:
    workers = guarded.workers()
    assert accepted(guarded) == {OLD, FIXED}
    replaced(key_file, f"{OLD}\n{NEW}")
    until(lambda: accepted(guarded) == {OLD, NEW, FIXED}, 5, "both keys are accepted")
    replaced(key_file, NEW)
    until(lambda: accepted(guarded) == {NEW, FIXED}, 5, "the old key is refused")
    key_file.write_text("short")  # in its place
    until(lambda: accepted(guarded) and "each key needs" in guarded.log.read_text(), 5, "the broken file is logged")
    key_file.unlink()
    until(lambda: accepted(guarded) and "No such file" in guarded.log.read_text(), 5, "the missing file is logged")
    assert accepted(guarded) == {NEW, FIXED}
    replaced(key_file, OLD)
    until(lambda: accepted(guarded) == {OLD, FIXED}, 5, "the file is read again")
    assert guarded.workers() == workers
    log = guarded.log.read_text()
    assert log.count("The keys stay as they were.") == 2
    assert not [key for key in (OLD, NEW, FIXED, '"short"') if key in log]


def test_the_documentation_of_the_api_asks_for_a_key(guarded: Server) -> None:
    document = httpx.get(f"{guarded.url}/docs.json", headers={"authorization": f"Bearer {FIXED}"}).json()
    assert document["security"] == [{"key": []}]


def test_a_broken_file_stops_the_start_with_a_sentence(home: Path, tmp_path: Path) -> None:
    said = refused_start(home, API_KEYS_FILE=str(tmp_path / "none"))
    assert f"API_KEYS_FILE={tmp_path}/none: No such file or directory." in said
