import errno
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.card import LITERT_FILE
from tests.support.store import AddVersion
from training.store import (
    StoreError,
    problem_of_served,
    published_versions,
    rollback,
    served_card,
    served_version,
)

MIDDLE = "digit-classifier:middle"


@pytest.fixture
def three(add_version: AddVersion, versions_folder: Path) -> Path:
    """Return the folder of three versions, of which `newest` is served; their names do not tell their order."""
    for version, month in (("middle", 2), ("newest", 3), ("a_oldest", 1)):
        add_version(version, created=datetime(2025, month, 1, tzinfo=UTC))
    serve(versions_folder, "newest")
    return versions_folder


def serve(versions_folder: Path, version: str) -> None:
    (versions_folder / "latest").write_text(version)


def refusal_of(tag: str | None = None) -> str:
    with pytest.raises(StoreError) as refused:
        rollback(tag)
    return str(refused.value)


@pytest.mark.usefixtures("versions_folder")
def test_an_empty_store_has_no_versions_and_serves_nothing():
    assert published_versions() == []
    assert served_version() is None
    assert served_card() is None


def test_versions_are_listed_oldest_first_and_the_served_one_is_marked(three: Path):
    serve(three, "middle")
    listed = [(each.version, each.served) for each in published_versions()]
    assert listed == [("a_oldest", False), ("middle", True), ("newest", False)]
    assert all(each.card and each.card.version == each.version and each.problem is None for each in published_versions())


def test_a_half_written_folder_is_listed_with_its_problem_and_hides_no_other(three: Path):
    (three / "half").mkdir()
    (three / "half" / LITERT_FILE).write_bytes(b"gr")
    half, *whole = published_versions()
    assert [each.version for each in whole] == ["a_oldest", "middle", "newest"]
    assert (half.version, half.card) == ("half", None)
    assert "it was not published whole" in (half.problem or "")


@pytest.mark.usefixtures("three")
def test_the_served_card_is_that_of_the_version_that_latest_names():
    assert served_version() == "newest"
    card = served_card()
    assert card is not None
    assert card.tag == "digit-classifier:newest"


@pytest.mark.parametrize("version", ["gone", "", "  \n"])
def test_there_is_no_served_card_where_latest_names_no_version(three: Path, version: str):
    serve(three, version)
    assert served_card() is None


def test_rollback_without_a_tag_goes_to_the_one_published_before_the_served_one(three: Path):
    assert rollback() == "digit-classifier:middle"
    assert served_version() == "middle"
    assert rollback() == "digit-classifier:a_oldest"
    assert refusal_of() == "no version was published before the one served now; `list` shows what there is."
    assert sorted(path.name for path in three.iterdir()) == ["a_oldest", "latest", "middle", "newest"]


def test_rollback_without_a_tag_passes_over_a_half_written_folder(three: Path):
    (three / "middle" / "card.json").unlink()
    assert rollback() == "digit-classifier:a_oldest"


@pytest.mark.parametrize("tag", ["digit-classifier:a_oldest", "a_oldest"])
@pytest.mark.usefixtures("three")
def test_rollback_takes_a_full_tag_or_a_bare_version(tag: str):
    assert rollback(tag) == "digit-classifier:a_oldest"
    assert served_version() == "a_oldest"


@pytest.mark.usefixtures("three")
def test_rollback_takes_a_later_version_too():
    rollback("middle")
    assert rollback("newest") == "digit-classifier:newest"
    assert served_version() == "newest"


@pytest.mark.parametrize("tag", ["b_oldest", "digit-classifier:", "other-classifier:middle", "../newest", "mid"])
@pytest.mark.usefixtures("three")
def test_rollback_to_an_unknown_tag_is_refused_with_a_list_of_what_there_is(tag: str):
    known = "digit-classifier:a_oldest, digit-classifier:middle, digit-classifier:newest"
    assert refusal_of(tag) == f"{tag} is not in the store; there are: {known}."
    assert served_version() == "newest"


@pytest.mark.parametrize("tag", ["latest", "digit-classifier:latest"])
@pytest.mark.usefixtures("three")
def test_rollback_to_latest_is_refused_since_that_is_no_version(tag: str):
    assert refusal_of(tag).startswith(f"{tag} is not a version, but names the one that is served; there are: ")


@pytest.mark.usefixtures("versions_folder")
def test_rollback_in_an_empty_store_is_refused():
    assert refusal_of("middle") == "middle is not in the store; there are: none."
    assert "no version was published before" in refusal_of()


def break_served(three: Path, how: str) -> None:
    """Leave the served version such that it cannot be served."""
    if how == "no latest":
        (three / "latest").unlink()
    elif how == "empty latest":
        serve(three, "")
    elif how == "latest names nothing":
        serve(three, "gone")
    elif how == "no card":
        (three / "newest" / "card.json").unlink()
    else:
        (three / "newest" / LITERT_FILE).unlink()


BROKEN = {
    "no latest": "digit-classifier:latest names no version, but there are some",
    "empty latest": "digit-classifier:latest names no version, but there are some",
    "latest names nothing": "digit-classifier:latest names gone, which is not in the store",
    "no card": "digit-classifier:latest names newest, which cannot be served: ",
    "no graph": "digit-classifier:latest names newest, which cannot be served: ",
}


@pytest.mark.parametrize("how", BROKEN)
def test_from_what_cannot_be_served_rollback_goes_to_the_newest_whole_version(three: Path, how: str):
    break_served(three, how)
    assert (problem_of_served() or "").startswith(BROKEN[how])
    (three / "middle" / LITERT_FILE).unlink()
    expected = "newest" if "latest" in how else "a_oldest"
    assert rollback() == f"digit-classifier:{expected}"
    assert served_version() == expected
    assert problem_of_served() is None


def test_from_what_cannot_be_served_rollback_is_refused_where_no_version_is_whole(three: Path):
    for version in ("a_oldest", "middle", "newest"):
        (three / version / LITERT_FILE).unlink()
    assert "names newest, which cannot be served: " in refusal_of()
    assert "no version in the store is whole" in refusal_of()


def test_what_is_wrong_with_the_served_version_is_a_part_of_a_sentence(three: Path):
    (three / "newest" / LITERT_FILE).unlink()
    problem = problem_of_served()
    assert problem
    assert problem.endswith("model.tflite is missing, but is in the card of digit-classifier:newest")


def test_a_latest_that_is_no_text_names_no_version(three: Path):
    (three / "latest").write_bytes(b"\xff\xfe")
    assert served_version() is None


@pytest.mark.usefixtures("versions_folder")
def test_an_empty_store_has_no_problem():
    assert problem_of_served() is None


def test_a_rollback_that_finds_the_disk_full_says_so_and_leaves_no_file(three: Path, monkeypatch: pytest.MonkeyPatch):
    def replace(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", replace)
    place = f"the model store at {three.parent}"
    assert refusal_of("middle") == f"no space left on the disk ({place}); what is served is unchanged."
    assert served_version() == "newest"
    assert sorted(path.name for path in three.iterdir()) == ["a_oldest", "latest", "middle", "newest"]


@pytest.mark.parametrize("tag", ["middle", None])
def test_rollback_to_a_corrupt_version_is_refused_by_file_name(three: Path, tag: str | None):
    with (three / "middle" / LITERT_FILE).open("ab") as graph:
        graph.write(b"!")
    assert f"{three / 'middle' / LITERT_FILE} differs" in refusal_of(tag)
    assert served_version() == "newest"


def test_a_version_with_a_changed_file_is_listed_with_its_card_and_its_problem(three: Path):
    (three / "middle" / LITERT_FILE).unlink()
    problems = {entry.version: (entry.card is not None, entry.problem) for entry in published_versions()}
    assert problems.pop("middle") == (True, f"{three / 'middle' / LITERT_FILE} is missing, but is in the card of {MIDDLE}.")
    assert set(problems.values()) == {(True, None)}


def test_rollback_to_a_half_written_version_is_refused(three: Path):
    (three / "middle" / "card.json").unlink()
    assert "it was not published whole" in refusal_of("middle")
    assert served_version() == "newest"
