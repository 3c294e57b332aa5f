import errno
import multiprocessing
import shutil
import signal
import stat
from pathlib import Path

import bentoml
import pytest

from models.card import BENTOML_FILE, CARD_FILE
from tests.support import store_changes
from tests.support.store import MakeVersion
from training.store import StoreError, add, problem_of_served, published_versions, rollback, served_version

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.store_changes", "training.store"])


@pytest.fixture
def old(make_version: MakeVersion, versions_folder: Path) -> Path:
    """Return the folder of the versions in a store that serves the version `old`."""
    add(make_version("old"))
    return versions_folder


def ended_in(versions: Path, made: Path, hook: str, number: int) -> int:
    """Add `made` in a process of its own, with a hook at its change of that number, and return how the process ended."""
    arguments = (versions.parent, made, hook, number, made.with_suffix(".said"))
    process = PROCESSES.Process(target=store_changes.add_version, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_whole(versions: Path) -> None:
    """Check that what is served can be, that BentoML reads the store, and that only folders without a card are unfinished."""
    assert problem_of_served() is None
    listed = {str(model.tag.version) for model in bentoml.models.list()}
    assert listed == {path.name for path in versions.iterdir() if path.is_dir()}
    assert {entry.version for entry in published_versions() if not entry.problem} == {
        version for version in listed if (versions / version / CARD_FILE).exists()
    }


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


def test_killed_before_any_of_its_changes_a_run_leaves_what_is_served_and_the_next_one_removes_the_rest(
    old: Path, make_version: MakeVersion
):
    made, later = make_version("new"), make_version("later")
    before = shutil.copytree(old.parent, old.parent.with_name("before"))
    left, number = [], 0
    while True:
        number += 1
        if ended_in(old, made, "die", number) != -signal.SIGKILL:
            break
        assert_whole(old)
        left.append((served_version(), names_in(old), names_in(old.parent)))
        add(later)
        assert served_version() == "later"
        assert_whole(old)
        assert [entry.version for entry in published_versions() if entry.problem] == []
        assert names_in(old) - {"new"} == {"old", "later", "latest"}
        assert names_in(old.parent) == {old.name, f"{old.name}.lock"}
        shutil.rmtree(old.parent)
        shutil.copytree(before, old.parent)
    assert served_version() == "new"
    assert {served for served, _, _ in left} == {"old"}
    # What the next run has had to remove: a folder that is no version yet, one without a card, what was to be `latest`.
    assert any(f"{old.name}.begun" in beside for _, _, beside in left)
    assert any("new" in versions for _, versions, _ in left)
    assert any(name.startswith(".latest.") for _, versions, _ in left for name in versions)


def test_killed_while_it_removes_what_another_left_a_run_leaves_no_version_without_a_description(
    old: Path, make_version: MakeVersion
):
    made, later = make_version("new"), make_version("later")
    assert any(has_begun(old, made, number) for number in range(1, 20))
    before = shutil.copytree(old.parent, old.parent.with_name("before"))
    number = 0
    while ended_in(old, later, "die", number := number + 1) == -signal.SIGKILL and "later" not in names_in(old):
        assert_whole(old)
        add(make_version("last", replace=True))
        assert names_in(old) == {"old", "last", "latest"}
        shutil.rmtree(old.parent)
        shutil.copytree(before, old.parent)
    assert number > 5


def has_begun(old: Path, made: Path, number: int) -> bool:
    """Let a run be killed at its change of that number, and say whether it leaves an unfinished version with a folder in it."""
    assert ended_in(old, made, "die", number) == -signal.SIGKILL
    return (old / made.name).is_dir() and any(path.is_dir() for path in (old / made.name).iterdir())


def test_a_full_disk_at_any_change_is_said_and_leaves_nothing_unfinished(old: Path, make_version: MakeVersion):
    made, left = make_version("new"), []
    for number in range(1, 20):
        failed = ended_in(old, made, "find_the_disk_full", number) == 1
        assert served_version() == ("old" if failed else "new")
        assert_whole(old)
        if failed:
            said = made.with_suffix(".said").read_text()
            assert said == f"no space left on the disk (the model store at {old.parent}); what is served is unchanged."
            left.append(names_in(old) - {"old", "latest"})
        rollback("old")
        shutil.rmtree(old / "new", ignore_errors=True)
    # Whole, but not served, where it is the last step that fails.
    assert left == [set()] * (len(left) - 1) + [{"new"}]
    assert len(left) > 10


def test_ctrl_c_at_any_change_leaves_nothing_or_comes_too_late(old: Path, make_version: MakeVersion):
    made = make_version("new")
    number = 1
    while (code := ended_in(old, made, "be_interrupted", number)) == 130:
        assert names_in(old) == {"old", "latest"}
        assert served_version() == "old"
        number += 1
    assert (code, served_version()) == (0, "new")
    assert number > 10
    assert_whole(old)


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


def test_a_rollback_removes_what_a_killed_run_left_too(old: Path, make_version: MakeVersion):
    add(make_version("new"))
    assert ended_in(old, make_version("killed"), "die", 12) == -signal.SIGKILL
    assert "killed" in names_in(old)
    assert rollback("old") == f"{old.name}:old"
    assert names_in(old) == {"old", "new", "latest"}


def test_readers_need_no_lock_and_no_right_to_write(old: Path):
    (old.parent / f"{old.name}.lock").unlink()
    for folder in (old.parent, old, old / "old"):
        folder.chmod(0o555)
    try:
        assert problem_of_served() is None
        assert [entry.version for entry in published_versions()] == ["old"]
        assert names_in(old.parent) == {old.name}
    finally:
        for folder in (old.parent, old, old / "old"):
            folder.chmod(0o755)


def test_a_process_that_has_died_holds_no_lock(old: Path, make_version: MakeVersion):
    assert ended_in(old, make_version("killed"), "die", 12) == -signal.SIGKILL
    assert (old.parent / f"{old.name}.lock").exists()
    add(make_version("new"))
    assert served_version() == "new"
