"""What publishing and rolling back record of what `latest` named, and what is served again where it is damaged."""

import shutil
from pathlib import Path

import bentoml
import pytest

from models.card import LITERT_FILE
from models.pointer import history_file
from tests.support.disks import fill, small_disk
from tests.support.store import MakeVersion
from training.store import (
    StoreError,
    add,
    problem_of_served,
    record_served,
    rollback,
    serve,
    served_version,
    version_to_serve_instead,
)


@pytest.fixture
def three(old: Path, make_version: MakeVersion) -> Path:
    """Return the folder of the versions in a store in which `old`, `mid` and `new` were published, and `new` is served."""
    add(make_version("mid"))
    add(make_version("new"))
    return old


def history(versions: Path) -> str:
    return " ".join(history_file(versions).read_text().split())


def damage(versions: Path, latest: str | None) -> None:
    """Let `latest` say that, or be gone; or damage the version that it names, where that is what it should say."""
    if latest is None:
        (versions / "latest").unlink()
    elif latest == served_version():
        with (versions / latest / LITERT_FILE).open("ab") as graph:
            graph.write(b"!")
    else:
        (versions / "latest").write_text(latest)


def test_publishing_and_rolling_back_record_what_latest_named(three: Path, make_version: MakeVersion):
    assert history(three) == "+old +mid +new"
    rollback()
    assert history(three) == "+old +mid -new"
    add(make_version("last"))
    assert history(three) == "+old +mid -new +last"
    serve("new")
    assert history(three) == "+old +mid +last +new"
    rollback("old")
    assert history(three) == "+old -mid -last -new"
    assert served_version() == "old"


def test_bentoml_lists_no_history(three: Path):
    assert {str(model.tag) for model in bentoml.models.list()} == {f"digit-classifier:{name}" for name in ("old", "mid", "new")}


def test_a_rollback_goes_to_what_was_served_before_and_not_to_what_was_rolled_back_from(three: Path, make_version: MakeVersion):
    rollback("mid")
    add(make_version("last"))
    assert rollback() == "digit-classifier:mid"
    assert rollback() == "digit-classifier:old"
    with pytest.raises(StoreError, match="no version was published before the one served now"):
        rollback()


@pytest.mark.parametrize("latest", ["new", "gone", "", None])
def test_instead_of_a_damaged_latest_what_it_named_before_is_served(three: Path, latest: str | None):
    damage(three, latest)
    expected = "mid" if latest == "new" else "new"
    assert version_to_serve_instead(None) == expected
    assert rollback() == f"digit-classifier:{expected}"
    assert problem_of_served() is None


@pytest.mark.parametrize("latest", ["mid", "gone", "", None])
def test_what_was_rolled_back_from_is_never_served_instead(three: Path, latest: str | None):
    rollback("mid")
    damage(three, latest)
    assert version_to_serve_instead(None) == ("old" if latest == "mid" else "mid")
    (three / "latest").write_text("gone")
    for version in ("mid", "old"):
        (three / version / LITERT_FILE).unlink()
    assert version_to_serve_instead(None) is None
    with pytest.raises(StoreError, match="is whole but what was rolled back from"):
        rollback()


def test_without_a_history_it_is_not_guessed_which_version_an_empty_latest_named(three: Path):
    history_file(three).unlink()
    damage(three, "")
    with pytest.raises(StoreError) as refused:
        version_to_serve_instead(None)
    assert str(refused.value) == (
        "digit-classifier:latest names no version, but there are some, and it is not known what it named before; "
        "`rollback` to one of: mid, new, old."
    )


def test_the_history_of_an_older_store_begins_with_what_is_served(three: Path):
    history_file(three).unlink()
    record_served()
    assert history(three) == "+new"
    rollback("mid")
    record_served()
    assert history(three) == "-new +mid"


def test_on_a_store_that_cannot_be_written_to_no_history_is_begun(three: Path):
    history_file(three).unlink()
    lock = three.with_name(f"{three.name}.lock")
    lock.unlink()
    lock.mkdir()
    record_served()
    assert not history_file(three).exists()


def test_on_a_full_disk_a_version_can_be_rolled_back_and_its_history_says_so(
    three: Path, make_version: MakeVersion, tmp_path: Path
):
    made = make_version("last")
    with small_disk(tmp_path / "disk", "1m") as disk:
        versions = shutil.copytree(three.parent, disk / "models") / three.name
        shutil.rmtree(three.parent)
        three.parent.symlink_to(versions.parent)
        fill(disk)
        with pytest.raises(StoreError, match="no space left on the disk"):
            add(made)
        assert rollback() == "digit-classifier:mid"
        assert (served_version(), history(versions)) == ("mid", "+old +mid -new")
        assert rollback("old") == "digit-classifier:old"
        assert (served_version(), history(versions)) == ("old", "+old -mid -new")
        assert bentoml.models.get("digit-classifier:latest").tag.version == "old"
        assert {path.name for path in versions.iterdir()} == {"old", "mid", "new", "latest"}
