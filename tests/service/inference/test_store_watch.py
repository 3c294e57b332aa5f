"""Which version is served next: when the store is polled for it, and what is said, counted and tried again."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from models.card import CARD_FILE, LITERT_FILE
from models.digits import MODEL_NAME
from models.engine import Device, Engine, NoGpuError, load_engine
from service.inference.model_repository import ModelRepository
from tests.support.metrics import Series, value
from tests.support.store import LATEST, copy_version, corrupt, half_written, make_latest

Until = Callable[[Callable[[], bool]], Awaitable[None]]
LOAD_ENGINE = "service.inference.model_loading.load_engine"


@pytest.fixture(autouse=True)
def info_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service.inference.model_repository")


def poll(repository: ModelRepository, versions: Path, latest: str) -> str:
    """Let `latest` mean that version, poll, and return the version that is served then."""
    make_latest(versions, latest)
    asyncio.run(repository.poll())
    return repository.served.card.version


def test_nothing_is_served_before_the_first_version_is_loaded() -> None:
    with pytest.raises(AssertionError, match=r"^load\(\) comes before the first request"):
        _ = ModelRepository(LATEST, "cpu").served


def test_a_switch_is_logged_with_both_versions_and_told_to_the_metrics(
    published_store: Path, caplog: pytest.LogCaptureFixture, counts: Callable[[], Series]
) -> None:
    repository = ModelRepository(LATEST, "cpu")
    first = repository.load().tag
    copy_version(published_store, repository.served.card.version, "next")
    assert poll(repository, published_store, "next\n") == "next"
    assert [(record.getMessage(), vars(record)["runtime"], vars(record)["device"]) for record in caplog.records] == [
        (f"serving {first}", "litert", "cpu"),
        (f"serving {MODEL_NAME}:next instead of {first}", "litert", "cpu"),
    ]
    told = [labels for name, labels in counts() if name == "digit_classifier_model_info"]
    assert [dict(labels) for labels in told] == [
        {"version": "next", "recipe": "baseline", "architecture": "softmax", "runtime": "litert", "device": "cpu"}
    ]


def test_the_next_version_is_loaded_for_the_same_device_in_another_thread(
    published_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[tuple[Device, bool]] = []

    def load_and_record(folder: Path, device: Device) -> Engine:
        loads.append((device, threading.current_thread() is threading.main_thread()))
        return load_engine(folder, device)

    monkeypatch.setattr(LOAD_ENGINE, load_and_record)
    repository = ModelRepository(LATEST, "cpu")
    copy_version(published_store, repository.load().card.version, "next")
    assert poll(repository, published_store, "next") == "next"
    assert loads == [("cpu", True), ("cpu", False)]


def test_a_refused_version_is_tried_again_after_another_was_latest(
    published_store: Path, caplog: pytest.LogCaptureFixture, counts: Callable[[], Series]
) -> None:
    repository = ModelRepository(LATEST, "cpu")
    first = repository.load().card.version
    corrupt(copy_version(published_store, first, "spoilt"))
    copy_version(published_store, first, "next")
    for latest in ("spoilt", "spoilt", first, "spoilt", "next", "spoilt"):
        poll(repository, published_store, latest)
    tags = [record.getMessage().partition(" stays served: ")[0] for record in caplog.records if record.levelname == "WARNING"]
    assert tags == [f"{MODEL_NAME}:{first}", f"{MODEL_NAME}:{first}", f"{MODEL_NAME}:next"]
    assert value(counts(), "model_load_failures_total", reason="changed") == 3


def test_without_the_gpu_that_was_asked_for_what_is_served_stays(
    published_store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, counts: Callable[[], Series]
) -> None:
    repository = ModelRepository(LATEST, "cpu")
    served = repository.load()
    copy_version(published_store, served.card.version, "next")

    def load_without_gpu(folder: Path, device: Device) -> Engine:
        raise NoGpuError("the driver is gone")

    monkeypatch.setattr(LOAD_ENGINE, load_without_gpu)
    assert poll(repository, published_store, "next") == served.card.version
    assert caplog.messages[-1].startswith(f"{served.tag} stays served: DEVICE=gpu, but the driver is gone. ")
    assert value(counts(), "model_load_failures_total", reason="internal") == 1


@pytest.mark.parametrize(("spoil", "file"), [(half_written, CARD_FILE), (corrupt, LITERT_FILE)], ids=["missing", "damaged"])
def test_a_refused_version_is_tried_again_once_its_file_is_there_or_mended(
    published_store: Path, spoil: Callable[[Path], None], file: str
) -> None:
    repository = ModelRepository(LATEST, "cpu")
    version = repository.load().card.version
    folder = copy_version(published_store, version, "late")
    content = (folder / file).read_bytes()
    spoil(folder)
    assert poll(repository, published_store, "late") == version
    (folder / file).write_bytes(content)
    assert poll(repository, published_store, "late") == "late"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"../elsewhere", None])
def test_a_latest_that_cannot_be_read_changes_nothing_and_is_read_again(
    published_store: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    repository = ModelRepository(LATEST, "cpu")
    served = repository.load()
    caplog.clear()
    copy_version(published_store, served.card.version, "next")
    (published_store / "latest").unlink()
    if content is not None:
        (published_store / "latest").write_bytes(content)
    asyncio.run(repository.poll())
    assert repository.served is served
    assert not caplog.records
    make_latest(published_store, "next")
    asyncio.run(repository.poll())
    assert repository.served.card.version == "next"


def watched(repository: ModelRepository, scenario: Callable[[Until], Awaitable[None]]) -> None:
    """Run `scenario` beside the watch, and hand it what waits for a condition, as long as the watch goes on."""

    async def beside_watch() -> None:
        watch = asyncio.create_task(repository.watch(0.01))

        async def until_so(is_so: Callable[[], bool]) -> None:
            while not is_so():
                assert not watch.done()
                await asyncio.sleep(0.005)

        await scenario(until_so)
        watch.cancel()

    asyncio.run(asyncio.wait_for(beside_watch(), 30))


def test_the_watch_follows_latest_and_outlives_a_store_that_cannot_be_read(
    published_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    repository = ModelRepository(LATEST, "cpu")
    first = repository.load().card.version
    copy_version(published_store, first, "next")
    unreadable = published_store / "next" / "unreadable"
    unreadable.symlink_to("nowhere")

    async def scenario(until_so: Until) -> None:
        make_latest(published_store, "next")
        await until_so(lambda: len(caplog.records) > 2)
        unreadable.unlink()
        await until_so(lambda: repository.served.card.version == "next")
        make_latest(published_store, first)
        await until_so(lambda: repository.served.card.version == first)

    watched(repository, scenario)
    record = caplog.records[1]
    assert (record.levelname, record.getMessage()) == (
        "ERROR",
        f"the store could not be read; {MODEL_NAME}:{first} stays served",
    )
    assert record.exc_info is not None


def test_the_watch_waits_for_its_interval_before_it_polls(published_store: Path) -> None:
    repository = ModelRepository(LATEST, "cpu")
    first = repository.load().card.version
    copy_version(published_store, first, "next")
    make_latest(published_store, "next")
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(repository.watch(3600), 0.2))
    assert repository.served.card.version == first


@pytest.mark.parametrize(("tag", "seconds"), [(LATEST, 0), (f"{MODEL_NAME}:pinned", 0.01)])
def test_there_is_no_watch_at_0_seconds_or_over_a_pinned_version(tag: str, seconds: float) -> None:
    asyncio.run(asyncio.wait_for(ModelRepository(tag, "cpu").watch(seconds), 5))
