import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.card import LITERT_FILE
from tests.training.conftest import AddVersion
from training.store import StoreError, published_versions, publishing, rollback, served_card, served_version


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
    assert "no version was published before" in refusal_of()
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


@pytest.mark.parametrize("tag", ["b_oldest", "digit-classifier:", "other-classifier:middle", "latest", "../newest", "mid"])
@pytest.mark.usefixtures("three")
def test_rollback_to_an_unknown_tag_is_refused_with_a_list_of_what_there_is(tag: str):
    known = "digit-classifier:a_oldest, digit-classifier:middle, digit-classifier:newest"
    assert refusal_of(tag) == f"{tag} is not in the store; there are: {known}."
    assert served_version() == "newest"


@pytest.mark.usefixtures("versions_folder")
def test_rollback_in_an_empty_store_is_refused():
    assert refusal_of("middle") == "middle is not in the store; there are: none."
    assert "no version was published before" in refusal_of()


def test_rollback_from_nothing_served_is_refused_without_a_tag_and_works_with_one(three: Path):
    (three / "latest").unlink()
    assert "no version was published before" in refusal_of()
    assert rollback("middle") == "digit-classifier:middle"
    assert served_version() == "middle"


@pytest.mark.parametrize("tag", ["middle", None])
def test_rollback_to_a_corrupt_version_is_refused_by_file_name(three: Path, tag: str | None):
    with (three / "middle" / LITERT_FILE).open("ab") as graph:
        graph.write(b"!")
    assert f"{three / 'middle' / LITERT_FILE} differs" in refusal_of(tag)
    assert served_version() == "newest"


def test_rollback_to_a_half_written_version_is_refused(three: Path):
    (three / "middle" / "card.json").unlink()
    assert "it was not published whole" in refusal_of("middle")
    assert served_version() == "newest"


def test_what_succeeds_is_not_undone(three: Path):
    with publishing("newer"):
        shutil.copytree(three / "newest", three / "newer")
    assert served_version() == "newer"
    assert (three / "newer").is_dir()


def test_what_fails_is_undone_and_nothing_else(three: Path):
    def publish_half() -> None:
        (three / "half").mkdir()
        serve(three, "")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), publishing("half"):
        publish_half()
    assert served_version() == "newest"
    assert sorted(path.name for path in three.iterdir()) == ["a_oldest", "latest", "middle", "newest"]


def test_the_first_publication_that_fails_leaves_nothing_served(versions_folder: Path):
    def publish_half() -> None:
        (versions_folder / "half").mkdir(parents=True)
        serve(versions_folder, "half")
        raise OSError

    with pytest.raises(OSError), publishing("half"):  # noqa: PT011
        publish_half()
    assert not any(versions_folder.iterdir())


def test_what_another_run_publishes_or_rolls_back_meanwhile_is_not_undone(three: Path):
    def publish_half_beside_another() -> None:
        (three / "half").mkdir()
        shutil.copytree(three / "newest", three / "theirs")
        serve(three, "theirs")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), publishing("half"):
        publish_half_beside_another()
    assert served_version() == "theirs"
    assert (three / "theirs").is_dir()
    assert not (three / "half").exists()


def test_a_latest_that_cannot_be_read_does_not_stop_the_next_publication(three: Path):
    for unreadable in (b"", b"\xff\xfe"):
        (three / "latest").write_bytes(unreadable)
        assert served_version() is None
        with publishing("middle"):
            assert not (three / "latest").exists()
        assert served_version() == "middle"
