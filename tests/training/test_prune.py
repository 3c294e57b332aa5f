"""Old versions are removed, but none that is served, would be served next, or cannot be read."""

import json
from pathlib import Path

import httpx
import pytest

from models.card import CARD_FILE, LITERT_FILE
from models.digits import MODEL_NAME
from tests.support.command_line import assert_fails_in_a_sentence, version_in
from tests.support.metrics import scrape, value
from tests.support.project import SEVEN
from tests.support.serving import serving
from tests.support.store import MakeVersion, copy_version, make_latest
from tests.support.store_states import assert_whole, names_in
from tests.support.training import run_training
from training.prune import prune
from training.store import StoreError, add, rollback, served_version


@pytest.fixture
def five(make_version: MakeVersion, versions_folder: Path) -> Path:
    """Return the folder of the versions `v1` to `v5`, published in that order; the last is served."""
    for number in range(1, 6):
        made = make_version(f"v{number}")
        card = json.loads((made / CARD_FILE).read_text())
        (made / CARD_FILE).write_text(json.dumps(card | {"created": f"2025-01-0{number}T00:00:00Z"}))
        add(made)
    return versions_folder


def left_by(versions: Path, keep: int) -> str:
    """Prune, and return the numbers of the versions that are left, after checking that what is said was removed is gone."""
    before = names_in(versions)
    removed = prune(keep)
    assert names_in(versions) == before - set(removed)
    assert_whole(versions)
    return " ".join(sorted(path.name for path in versions.glob("*/")))


@pytest.mark.parametrize(("keep", "left"), [(5, "v1 v2 v3 v4 v5"), (9, "v1 v2 v3 v4 v5"), (3, "v3 v4 v5"), (1, "v4 v5")])
def test_the_newest_are_kept_and_of_one_also_what_would_be_served_in_its_place(five: Path, keep: int, left: str):
    assert left_by(five, keep) == left


def test_what_is_served_after_a_rollback_is_kept_and_what_is_next(five: Path):
    rollback("v2")
    assert left_by(five, 2) == "v1 v2 v4 v5"
    assert served_version() == "v2"
    assert rollback() == f"{MODEL_NAME}:v1"


def test_a_damaged_version_takes_no_place_of_a_whole_one_and_is_removed(five: Path):
    (five / "v4" / LITERT_FILE).unlink()
    assert left_by(five, 2) == "v3 v5"


def test_what_cannot_be_read_or_is_no_version_is_left_alone(five: Path):
    (five / "v1" / CARD_FILE).write_text(json.dumps({"schema_version": 99}))
    (five / "foreign").write_text("")
    prune(1)
    assert names_in(five) == {"v1", "v4", "v5", "foreign", "latest"}


def test_where_latest_is_damaged_nothing_is_removed(five: Path):
    make_latest(five, "gone")
    with pytest.raises(StoreError) as refused:
        prune(1)
    assert str(refused.value) == (
        "digit-classifier:latest names gone, which is not in the store; "
        "nothing is removed before `rollback` or a publication has put that right."
    )
    assert len(list(five.glob("*/"))) == 5


def test_a_dry_run_says_the_same_and_removes_nothing(five: Path):
    sizes = {each: sum(path.stat().st_size for path in (five / each).rglob("*") if path.is_file()) for each in ("v1", "v2")}
    assert prune(3, dry_run=True) == sizes
    assert len(list(five.glob("*/"))) == 5
    assert prune(3) == sizes


def test_a_store_without_versions_has_nothing_to_remove(versions_folder: Path):
    assert prune(1) == {}


def test_the_command_says_what_it_removed_while_a_service_goes_on_serving_it_from_memory(home: Path):
    versions, pinned = home / "models" / MODEL_NAME, version_in(home)
    for version in ("second", "third"):
        copy_version(versions, pinned, version)
        assert run_training(home, "rollback", version).returncode == 0
    with serving(home, MODEL=f"{MODEL_NAME}:{pinned}") as server:
        for folder, created in ((versions / "second", 1), (versions / pinned, 0)):
            card = json.loads((folder / CARD_FILE).read_text())
            (folder / CARD_FILE).write_text(json.dumps(card | {"created": f"2025-01-01T00:00:0{created}Z"}))
        size = sum(path.stat().st_size for path in (versions / pinned).rglob("*") if path.is_file())
        expected = f"removed, {size:,} bytes: {pinned}.\n"
        assert run_training(home, "prune", "--keep", "2", "--dry-run").stdout == f"1 version would be {expected}"
        finished = run_training(home, "prune", "--keep", "2")
        assert (finished.returncode, finished.stdout, finished.stderr) == (0, f"1 version {expected}", "")
        assert names_in(versions) == {"second", "third", "latest"}
        answer = server.predict(SEVEN).json()
        assert (answer["digits"], answer["model"]) == ([7], f"{MODEL_NAME}:{pinned}")
        assert httpx.get(f"{server.url}/model/versions").json()["served"] == pinned
        assert httpx.get(f"{server.url}/model/pictures/weights.png").status_code == 404
        assert value(scrape(server), "requests_total", route="/model/versions", status="200") == 1
    assert run_training(home, "prune", "--keep", "2").stdout == "0 versions removed, 0 bytes.\n"


@pytest.mark.parametrize("keep", ["0", "-1", "many", None])
def test_how_many_to_keep_has_to_be_said_and_is_at_least_one(tmp_path: Path, keep: str | None):
    assert_fails_in_a_sentence(run_training(tmp_path, "prune", *(("--keep", keep) if keep else ())), 2)
