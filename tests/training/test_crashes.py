"""A version that is added by a process which is killed, interrupted, finds the disk full, or is not alone."""

import fcntl
import multiprocessing
import shutil
import signal
from pathlib import Path

from models.card import BENTOML_FILE, CARD_FILE
from models.pointer import fallbacks
from tests.support import store_changes
from tests.support.store import MakeVersion
from tests.support.store_states import assert_whole, names_in
from training.store import add, published_versions, rollback, serve, served_version

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.store_changes", "training.store"])


def ended_in(versions: Path, made: Path, hook: str, number: int, command: str = "add") -> int:
    """Add `made` in a process of its own, with a hook at its change of that number, and return how the process ended."""
    arguments = (versions.parent, command, made, hook, number, made.with_suffix(".said"))
    process = PROCESSES.Process(target=store_changes.write, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


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
        assert names_in(old.parent) == {old.name, f"{old.name}.lock", f"{old.name}.history"}
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


def test_ctrl_c_at_any_change_of_a_rollback_comes_before_it_or_too_late(old: Path, make_version: MakeVersion):
    made = make_version("new")
    add(made)
    served = {}
    for number in range(1, 6):
        rollback("old")
        code = ended_in(old, made, "be_interrupted", number, "rollback")
        served.setdefault(code, set()).add(served_version())
    assert served == {130: {"old"}, 0: {"new"}}
    assert names_in(old) == {"old", "new", "latest"}


def test_a_rollback_removes_what_a_killed_run_left_too(old: Path, make_version: MakeVersion):
    add(make_version("new"))
    assert ended_in(old, make_version("killed"), "die", 12) == -signal.SIGKILL
    assert "killed" in names_in(old)
    assert rollback("old") == f"{old.name}:old"
    assert names_in(old) == {"old", "new", "latest"}


def test_a_process_that_has_died_holds_no_lock(old: Path, make_version: MakeVersion):
    assert ended_in(old, make_version("killed"), "die", 12) == -signal.SIGKILL
    assert (old.parent / f"{old.name}.lock").exists()
    add(make_version("new"))
    assert served_version() == "new"


def test_a_run_waits_for_another_that_writes(old: Path, make_version: MakeVersion):
    with (old.parent / f"{old.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        arguments = (old.parent, "add", make_version("new"), "die", 100, old / "said")
        process = PROCESSES.Process(target=store_changes.write, args=arguments)
        process.start()
        process.join(1)
        assert process.is_alive()
        assert names_in(old) == {"old", "latest"}
    process.join(60)
    assert (process.exitcode, served_version()) == (0, "new")


def test_the_description_comes_first_the_card_last_and_then_latest(old: Path, make_version: MakeVersion, tmp_path: Path):
    arguments = (old.parent, make_version("new"), tmp_path / "changes")
    process = PROCESSES.Process(target=store_changes.add_and_note_changes, args=arguments)
    process.start()
    process.join(60)
    changes = (tmp_path / "changes").read_text().splitlines()
    begun, new = f"{old.name}.begun", f"{old.name}/new"
    appears = changes.index(f"{begun} {new}")
    assert f"{begun}/{BENTOML_FILE}" in changes[:appears]
    assert not any(f"{new}/{BENTOML_FILE}" in change for change in changes)
    assert [change.split()[-1] for change in changes[-2:]] == [f"{new}/{CARD_FILE}", f"{old.name}/latest"]


def test_killed_before_any_of_its_changes_a_rollback_leaves_nothing_that_it_goes_back_from_to_fall_back_on(
    old: Path, make_version: MakeVersion
):
    add(make_version("new"))
    back, left, number = make_version("old", replace=True), [], 0
    while ended_in(old, back, "die", number := number + 1, "rollback") == -signal.SIGKILL:
        left.append((served_version(), next(fallbacks(old), None)))
        assert_whole(old)
        serve("new")
    assert set(left) == {("new", "old")}
    assert (served_version(), list(fallbacks(old))) == ("old", [])
    assert number > 4
