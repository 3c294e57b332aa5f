import errno
import shutil
import stat
from pathlib import Path

import bentoml
import pytest

from models.card import BENTOML_FILE
from tests.support.store import MakeVersion
from tests.support.store_states import assert_whole, names_in
from training.store import StoreError, add, problem_of_served, published_versions, served_version


def test_a_version_is_added_as_it_was_made_and_served(old: Path, make_version: MakeVersion):
    made = make_version("new")
    add(made)
    assert served_version() == "new"
    assert names_in(old) == {"old", "new", "latest"}
    content = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (made, old / "new")
    ]
    assert content[0] == content[1]
    assert_whole(old)


def test_another_user_may_read_what_was_added(old: Path):
    assert stat.S_IMODE((old / "old").stat().st_mode) == 0o755
    assert stat.S_IMODE((old / "latest").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "no space left on the disk ({place})"),
        (
            shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'"), ("c", "d", "[Errno 5] Input/output error")]),
            "no space left on the disk ({place})",
        ),
        (
            shutil.Error([("a", "b", "[Errno 5] Input/output error")]),
            "{place} cannot be written to: [Errno 5] Input/output error",
        ),
        (PermissionError(13, "Permission denied", "/a"), "{place} cannot be written to: [Errno 13] Permission denied: '/a'"),
    ],
)
def test_the_first_version_that_cannot_be_written_is_refused_with_the_reason(
    versions_folder: Path, make_version: MakeVersion, monkeypatch: pytest.MonkeyPatch, error: OSError, sentence: str
):
    def copytree(*_: object, **__: object) -> None:
        raise error

    made = make_version("new")
    monkeypatch.setattr(shutil, "copytree", copytree)
    with pytest.raises(StoreError) as refused:
        add(made)
    place = f"the model store at {versions_folder.parent}"
    assert str(refused.value) == f"{sentence.format(place=place)}; what is served is unchanged."
    assert names_in(versions_folder) == set()


BROKEN = {"no latest": None, "empty latest": b"", "unreadable latest": b"\xff\xfe", "latest names nothing": b"gone"}


@pytest.mark.parametrize("latest", BROKEN.values(), ids=BROKEN)
def test_beside_what_cannot_be_served_a_version_can_be_added(old: Path, make_version: MakeVersion, latest: bytes | None):
    (old / "latest").unlink()
    if latest is not None:
        (old / "latest").write_bytes(latest)
    (old / "foreign").mkdir()
    add(make_version("new"))
    assert served_version() == "new"
    assert problem_of_served() is None


def test_what_another_program_writes_without_a_card_is_left_alone(old: Path, make_version: MakeVersion):
    with bentoml.models.create(f"{old.name}:theirs"):
        pass
    add(make_version("new"))
    assert (old / "theirs" / BENTOML_FILE).exists()


def test_readers_need_no_lock_and_no_right_to_write(old: Path):
    (old.parent / f"{old.name}.lock").unlink()
    for folder in (old.parent, old, old / "old"):
        folder.chmod(0o555)
    try:
        assert problem_of_served() is None
        assert [entry.version for entry in published_versions()] == ["old"]
        assert names_in(old.parent) == {old.name, f"{old.name}.history"}
    finally:
        for folder in (old.parent, old, old / "old"):
            folder.chmod(0o755)
