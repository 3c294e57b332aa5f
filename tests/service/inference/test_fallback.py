"""What is served by a service that starts while `latest` is damaged: what that named before, and for how long."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.card import GOLDEN_FILE, LITERT_FILE
from models.digits import MODEL_NAME
from models.pointer import history_file, named_by_latest
from service.inference.model_loading import ModelLoadError, find_version
from service.inference.model_repository import ModelRepository, first_servable
from tests.support.metrics import Series, scrape, value
from tests.support.refused import refused_start
from tests.support.serving import serving
from tests.support.store import LATEST, copy_version, corrupt, half_written, make_latest, reseal
from tests.support.waiting import until

GAUGES = ("model_fallback", "model_fallbacks_total", "model_refused")


@pytest.fixture
def three(published_store: Path) -> Path:
    """Return the folder of the versions `before`, `bad`, which was rolled back from, and `new`, which is latest."""
    return with_history(published_store)


def with_history(versions: Path) -> Path:
    published = (versions / "latest").read_text()
    for version in ("before", "bad", "new"):
        copy_version(versions, published, version)
    make_latest(versions, "new")
    history_file(versions).write_text(f"+{published}\n+before\n-bad\n+new\n")
    return versions


def other_golden_digits(folder: Path) -> None:
    with np.load(folder / GOLDEN_FILE) as golden:
        arrays = dict(golden) | {"probabilities": golden["probabilities"][::-1]}
    np.savez_compressed(folder / GOLDEN_FILE, **arrays)
    reseal(folder)


def empty(folder: Path) -> None:
    (folder.parent / "latest").write_bytes(b"")


def unreadable(folder: Path) -> None:
    (folder.parent / "latest").write_bytes(b"\xff")


def to_nothing(folder: Path) -> None:
    make_latest(folder.parent, "gone")


def begins_a_name(folder: Path) -> None:
    make_latest(folder.parent, "ba")


def with_a_link_to_nothing(folder: Path) -> None:
    half_written(folder)
    (folder / "link").symlink_to("nowhere")


def told(series: Series) -> tuple[float, ...]:
    return tuple(value(series, name) for name in GAUGES)


# Of each: whether `latest` still names a version, which is refused then.
DAMAGE = {
    to_nothing: True,
    begins_a_name: True,
    half_written: True,
    corrupt: True,
    other_golden_digits: True,
    empty: False,
    unreadable: False,
}


@pytest.mark.parametrize(("spoil", "is_refused"), DAMAGE.items(), ids=[spoil.__name__ for spoil in DAMAGE])
def test_a_start_with_a_damaged_latest_serves_what_that_named_before(
    three: Path,
    caplog: pytest.LogCaptureFixture,
    counts: Callable[[], Series],
    spoil: Callable[[Path], None],
    is_refused: bool,
) -> None:
    spoil(three / "new")
    latest = (three / "latest").read_bytes()
    expected = "before" if named_by_latest(three) == "new" else "new"
    repository = ModelRepository(LATEST, "cpu")
    with caplog.at_level(logging.INFO):
        assert repository.load().card.version == expected
        asyncio.run(repository.poll())
    assert (three / "latest").read_bytes() == latest  # BentoML would have written another version into it
    assert first_servable(LATEST, find_version)[0][0].name == ("new" if spoil is other_golden_digits else expected)
    assert told(counts()) == (1, 1, is_refused)
    (record,) = [record for record in caplog.records if record.name == "service.inference.model_repository"]
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"serving {MODEL_NAME}:{expected}, which is a fallback: {MODEL_NAME}:")


@pytest.mark.parametrize("mend", ["its files", "latest"])
def test_when_latest_is_good_again_it_is_served_and_the_gauges_say_so(
    three: Path, counts: Callable[[], Series], mend: str
) -> None:
    content = (three / "new" / LITERT_FILE).read_bytes()
    corrupt(three / "new")
    repository = ModelRepository(LATEST, "cpu")
    repository.load()
    assert repository.is_fallback
    if mend == "latest":
        make_latest(three, "before")
    else:
        (three / "new" / LITERT_FILE).write_bytes(content)
    asyncio.run(repository.poll())
    assert repository.served.card.version == ("before" if mend == "latest" else "new")
    assert not repository.is_fallback
    assert told(counts()) == (0, 1, 0)


def test_a_fallback_stays_one_while_latest_says_nothing(three: Path, counts: Callable[[], Series]) -> None:
    corrupt(three / "new")
    repository = ModelRepository(LATEST, "cpu")
    repository.load()
    empty(three / "new")
    asyncio.run(repository.poll())
    assert told(counts()) == (1, 1, 0)


def test_a_service_that_runs_refuses_a_damaged_version_until_latest_names_another(
    three: Path, counts: Callable[[], Series]
) -> None:
    repository = ModelRepository(LATEST, "cpu")
    repository.load()
    corrupt(three / "bad")
    for latest, refused in (("bad", 1), ("gone", 1), ("new", 0), ("bad", 1), ("before", 0)):
        make_latest(three, latest)
        asyncio.run(repository.poll())
        assert told(counts()) == (0, 0, refused)


def test_what_was_rolled_back_from_is_not_served_though_nothing_else_is_whole(three: Path) -> None:
    for version in three.glob("*/"):
        if version.name != "bad":
            corrupt(version)
    with pytest.raises(ModelLoadError, match=f"^{MODEL_NAME}:new cannot be served: "):
        ModelRepository(LATEST, "cpu").load()
    with pytest.raises(ModelLoadError, match=f"^{MODEL_NAME}:new cannot be served: "):
        first_servable(LATEST, find_version)


def test_a_version_asked_for_by_name_is_never_replaced(three: Path) -> None:
    corrupt(three / "new")
    with pytest.raises(ModelLoadError):
        ModelRepository(f"{MODEL_NAME}:new", "cpu").load()
    with pytest.raises(ModelLoadError):
        first_servable(f"{MODEL_NAME}:new", find_version)


def test_files_that_cannot_be_compared_later_do_not_stop_the_start(three: Path) -> None:
    with_a_link_to_nothing(three / "new")
    assert ModelRepository(LATEST, "cpu").load().card.version == "before"


def test_without_a_history_an_empty_latest_is_refused_with_what_to_do(three: Path) -> None:
    history_file(three).unlink()
    empty(three / "new")
    with pytest.raises(ModelLoadError) as error:
        ModelRepository(LATEST, "cpu").load()
    assert str(error.value) == (
        f"{LATEST} names no version; `python -m training rollback VERSION` lets it name one of those in the store."
    )


def test_a_service_that_starts_with_a_damaged_latest_says_so_and_goes_back_to_it(home: Path) -> None:
    versions = with_history(home / "models" / MODEL_NAME)
    graph = versions / "new" / LITERT_FILE
    content = graph.read_bytes()
    corrupt(versions / "new")
    assert "new cannot be served" in refused_start(home, MODEL=f"{MODEL_NAME}:new")
    with serving(home, MODEL_POLL_SECONDS="0.2", WORKERS="2") as server:
        assert httpx.get(f"{server.url}/model").json()["version"] == "before"
        listed = httpx.get(f"{server.url}/model/versions").json()
        assert (listed["served"], listed["is_fallback"]) == ("before", True)
        until(lambda: told(scrape(server)) == (1, 2, 1), what="both workers fell back")
        assert value(scrape(server), "model_load_failures_total", reason="changed") == 2
        graph.write_bytes(content)
        os.utime(graph)
        until(lambda: told(scrape(server)) == (0, 2, 0), what="both workers serve what latest names")
        assert httpx.get(f"{server.url}/model/versions").json()["is_fallback"] is False
        assert server.log.read_text().count("which is a fallback: ") == 2
