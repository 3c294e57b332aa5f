"""What `latest` names and named before, and what is served where it is damaged."""

import json
from pathlib import Path

import pytest

from models.card import CARD_FILE
from models.pointer import (
    fallbacks,
    history_file,
    history_of_present,
    history_text,
    named,
    named_by_latest,
    read_history,
    rolled_back,
)
from tests.support.store import SCHEMA_2, make_latest


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Return the folder of four versions, published in the order of their names; `d` is latest, and there is no history."""
    folder = tmp_path / "digit-classifier"
    card = json.loads((SCHEMA_2 / CARD_FILE).read_text())
    for month, version in enumerate("abcd", start=1):
        (folder / version).mkdir(parents=True)
        content = card | {"version": version, "created": f"2025-0{month}-01T00:00:00Z"}
        (folder / version / CARD_FILE).write_text(json.dumps(content))
    make_latest(folder, "d")
    return folder


def record(versions: Path, text: str) -> None:
    """Write a history in short: `a -b c` for two versions that were named and, between them, one that was rolled back from."""
    lines = (word if word.startswith("-") else f"+{word}" for word in text.split())
    history_file(versions).write_text("".join(f"{line}\n" for line in lines))


def short(history: dict[str, bool]) -> str:
    return history_text(history).replace("+", "").replace("\n", " ").strip()


@pytest.mark.parametrize("content", [b"", b"  \n", b"\xff\xfe", b"../elsewhere", b"..", b"-x", b"a/b", b"a b"])
def test_a_latest_that_is_no_version_names_none(versions: Path, content: bytes) -> None:
    (versions / "latest").write_bytes(content)
    assert named_by_latest(versions) is None
    (versions / "latest").unlink()
    assert named_by_latest(versions) is None


def test_what_is_no_line_of_a_history_is_passed_over(versions: Path) -> None:
    history_file(versions).write_text("+a\n\n*b\n-c\n+../d\n+\nd\n\n\n")
    assert read_history(versions) == {"a": False, "c": True}
    history_file(versions).write_bytes(b"+a\n\xff")
    assert read_history(versions) == {}


@pytest.mark.parametrize(
    ("before", "version", "after"),
    [("", "a", "a"), ("a b", "c", "a b c"), ("a -b", "c", "a -b c"), ("a -b c", "b", "a c b"), ("a b", "a", "b a")],
)
def test_what_is_named_stands_last_and_counts_as_rolled_back_from_no_more(
    versions: Path, before: str, version: str, after: str
) -> None:
    record(versions, before)
    assert short(named(read_history(versions), version)) == after


@pytest.mark.parametrize(
    ("before", "latest", "version", "after"),
    [
        ("a b c", "c", "b", "a b -c"),
        ("a b c", "c", "a", "a -b -c"),
        ("a b -c", "b", "c", "a -b c"),
        ("a b", "b", "d", "a -b d"),
        ("a b c", None, "b", "a b -c"),
        ("a b", "b", "b", "a b"),
    ],
)
def test_a_rollback_marks_what_was_named_after_the_version_that_it_goes_to(
    versions: Path, before: str, latest: str | None, version: str, after: str
) -> None:
    record(versions, before)
    assert short(rolled_back(read_history(versions), latest, version)) == after


def test_of_what_is_gone_from_the_store_the_history_says_no_more(versions: Path) -> None:
    record(versions, "gone a -lost c")
    assert short(history_of_present(versions)) == "a c d"
    make_latest(versions, "nowhere")
    assert short(history_of_present(versions)) == "a c"


@pytest.mark.parametrize(
    ("history", "latest", "expected"),
    [
        ("a b c d", "d", "c b a"),
        ("a c d", "d", "c a"),
        ("a b -c d", "d", "b a"),
        ("a b c -d", "c", "b a"),
        ("c a d", "d", "a c"),
        ("a b gone d", "d", "b a"),
        # Named by a program that keeps no history, or by nobody who can be read.
        ("a b", "d", "b a"),
        ("a b -c", "", "b a"),
        # A run died before it renamed `latest`: that of a rollback from d, and one that was to publish d.
        ("a b c -d", "d", "c b a"),
        ("a b c d", "c", "b a"),
        # What is older than the history: not what is newer, and never what was rolled back from.
        ("b c", "c", "b a"),
        ("c -b", "c", "a"),
        ("", "d", "c b a"),
        ("", "b", "a"),
        # What is latest is not there, so that nobody knows how old it was; then, how old what it named before is.
        ("", "gone", ""),
        ("", "", ""),
        ("b c", "gone", "c b a"),
    ],
)
def test_fallbacks_are_what_latest_named_before_and_then_what_is_older(
    versions: Path, history: str, latest: str, expected: str
) -> None:
    record(versions, history)
    make_latest(versions, latest)
    assert " ".join(fallbacks(versions)) == expected


def test_a_version_whose_card_is_that_of_another_is_not_taken_for_an_older_one(versions: Path) -> None:
    (versions / "b" / CARD_FILE).write_text((versions / "a" / CARD_FILE).read_text())
    (versions / "c" / CARD_FILE).write_text("no card")
    assert list(fallbacks(versions)) == ["a"]


def test_a_store_that_is_not_there_has_nothing_to_fall_back_on(tmp_path: Path) -> None:
    assert list(fallbacks(tmp_path / "digit-classifier")) == []
