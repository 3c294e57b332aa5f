import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.card import CARD_FILE, GOLDEN_FILE, LITERT_FILE, WEIGHTS_FILE, ModelCard
from models.digits import MODEL_NAME
from models.engine import Device, Engine, load_engine
from models.exported import Outputs
from service.inference.model_repository import ModelLoadError, ModelRepository, find_version
from tests.support.metrics import scrape, value
from tests.support.project import SEVEN
from tests.support.serving import Server, serving
from tests.support.store import LATEST, copy_version, corrupt, half_written, make_latest, reseal
from tests.support.training import run_training
from tests.support.waiting import switches_to, until


def test_a_whole_version_is_loaded_proved_and_served(published_store: Path) -> None:
    repository = ModelRepository(LATEST, "cpu")
    version = repository.load()
    assert repository.served is version
    assert version.card == ModelCard.read(published_store / version.card.version)


def test_a_version_that_answers_its_golden_digits_otherwise_is_refused(published_store: Path) -> None:
    folder, _ = find_version(LATEST)
    with np.load(folder / GOLDEN_FILE) as golden:
        arrays = dict(golden)
    arrays["probabilities"][63, 3] += 2e-5
    np.savez_compressed(folder / GOLDEN_FILE, **arrays)
    reseal(folder)
    with pytest.raises(ModelLoadError, match=r"golden digits up to [12]\.\de-05 away .* at most 3e-06"):
        ModelRepository(LATEST, "cpu").load()


def test_a_version_with_nan_among_its_published_probabilities_is_refused(published_store: Path) -> None:
    folder, _ = find_version(LATEST)
    with np.load(folder / GOLDEN_FILE) as golden:
        arrays = dict(golden)
    arrays["probabilities"][63, 3] = np.nan
    np.savez_compressed(folder / GOLDEN_FILE, **arrays)
    reseal(folder)
    with pytest.raises(ModelLoadError, match="golden digits up to nan away") as error:
        ModelRepository(LATEST, "cpu").load()
    assert error.value.reason == "golden"


def test_a_version_whose_engine_answers_nan_is_refused(published_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_broken_engine(folder: Path, device: Device) -> Engine:
        def run(images: np.ndarray, with_novelty: bool) -> Outputs:
            probabilities, novelty = engine.run(images, with_novelty)
            return Outputs(np.where(np.eye(len(images), 10, dtype=bool), np.float32(np.nan), probabilities), novelty)

        engine = load_engine(folder, device)
        return replace(engine, run=run)

    monkeypatch.setattr("service.inference.model_repository.load_engine", load_broken_engine)
    with pytest.raises(ModelLoadError, match="golden digits up to nan away"):
        ModelRepository(LATEST, "cpu").load()


def test_golden_digits_that_are_a_pickle_are_not_loaded(published_store: Path) -> None:
    folder, _ = find_version(LATEST)
    np.savez_compressed(folder / GOLDEN_FILE, images=np.array([{}], object), probabilities=np.zeros((1, 10)))
    reseal(folder)
    with pytest.raises(ModelLoadError, match=GOLDEN_FILE):
        ModelRepository(LATEST, "cpu").load()


def test_a_half_written_version_is_refused(published_store: Path) -> None:
    folder, _ = find_version(LATEST)
    (folder / CARD_FILE).unlink()
    with pytest.raises(ModelLoadError, match=r"has no card\.json: it was not published whole"):
        find_version(LATEST)


def test_a_version_that_is_not_there_is_named(published_store: Path) -> None:
    with pytest.raises(ModelLoadError, match=f"{MODEL_NAME}:gone is not in the BentoML store"):
        find_version(f"{MODEL_NAME}:gone")


def test_an_empty_store_says_how_to_fill_it(versions_folder: Path) -> None:
    with pytest.raises(ModelLoadError, match="make train"):
        find_version(LATEST)


def not_described(folder: Path) -> None:
    (folder / "model.yaml").unlink()


def of_another_version(folder: Path) -> None:
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | {"version": "another"}))


def truncated(folder: Path) -> None:
    (folder / LITERT_FILE).write_bytes((folder / LITERT_FILE).read_bytes()[:500])
    reseal(folder)


def of_another_shape(folder: Path) -> None:
    np.savez_compressed(folder / WEIGHTS_FILE, weights=np.zeros((784, 9), np.float32), biases=np.zeros(9, np.float32))
    reseal(folder)


def of_another_mind(folder: Path) -> None:
    with np.load(folder / GOLDEN_FILE) as golden:
        arrays = dict(golden) | {"probabilities": np.roll(golden["probabilities"], 1, axis=1)}
    np.savez_compressed(folder / GOLDEN_FILE, **arrays)
    reseal(folder)


FLAWS = {
    half_written: "incomplete",
    not_described: "incomplete",
    of_another_version: "incomplete",
    corrupt: "changed",
    truncated: "internal",
    of_another_shape: "shape",
    of_another_mind: "golden",
}


@pytest.mark.parametrize(("spoil", "reason"), FLAWS.items(), ids=[spoil.__name__ for spoil in FLAWS])
def test_a_new_version_that_is_spoilt_is_refused_once_with_one_line(
    published_store: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None], reason: str
) -> None:
    repository = ModelRepository(LATEST, "cpu")
    served = repository.load()
    spoil(copy_version(published_store, served.card.version, "spoilt"))
    make_latest(published_store, "spoilt")
    caplog.clear()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            asyncio.run(repository.poll())
    assert repository.served is served
    (record,) = [record for record in caplog.records if record.name == "service.inference.model_repository"]
    assert record.getMessage().startswith(f"{served.tag} stays served: ")
    with pytest.raises(ModelLoadError) as error:
        ModelRepository(f"{MODEL_NAME}:spoilt", "cpu").load()
    assert error.value.reason == reason


def test_a_refused_version_is_tried_again_once_it_changes(published_store: Path) -> None:
    repository = ModelRepository(LATEST, "cpu")
    version = repository.load().card.version
    folder = copy_version(published_store, version, "late")
    card = (folder / CARD_FILE).read_bytes()
    half_written(folder)
    make_latest(published_store, "late")
    asyncio.run(repository.poll())
    assert repository.served.card.version == version
    (folder / CARD_FILE).write_bytes(card)
    asyncio.run(repository.poll())
    assert repository.served.card.version == "late"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"../elsewhere", None])
def test_a_latest_that_cannot_be_read_changes_nothing_and_is_read_again(published_store: Path, content: bytes | None) -> None:
    repository = ModelRepository(LATEST, "cpu")
    served = repository.load()
    copy_version(published_store, served.card.version, "next")
    (published_store / "latest").unlink()
    if content is not None:
        (published_store / "latest").write_bytes(content)
    asyncio.run(repository.poll())
    assert repository.served is served
    make_latest(published_store, "next")
    asyncio.run(repository.poll())
    assert repository.served.card.version == "next"


def model_of(server: Server) -> str:
    return server.predict(SEVEN).json()["model"]


def served_versions(server: Server) -> list[str]:
    return [dict(labels)["version"] for name, labels in scrape(server) if name == "digit_classifier_model_info"]


def test_a_running_service_follows_a_publication_and_a_rollback_and_refuses_what_is_corrupt(home: Path) -> None:
    versions = home / "models" / MODEL_NAME
    first = (versions / "latest").read_text()
    with serving(home, MODEL_POLL_SECONDS="0.5", WORKERS="2") as server:
        assert model_of(server) == f"{MODEL_NAME}:{first}"
        assert run_training(home, "--quiet", "--recipe", "sgd", "--epochs", "2", "--force").returncode == 0
        second = (versions / "latest").read_text()
        until(lambda: switches_to(server, second) == 2)  # both workers
        assert {model_of(server) for _ in range(20)} == {f"{MODEL_NAME}:{second}"}
        assert httpx.get(f"{server.url}/model").json()["version"] == second
        assert served_versions(server) == [second]
        assert run_training(home, "rollback").returncode == 0
        until(lambda: switches_to(server, first) == 2)
        corrupt(versions / second)
        make_latest(versions, second)
        until(lambda: server.log.read_text().count("stays served: ") == 2)  # once by each worker
        assert {model_of(server) for _ in range(20)} == {f"{MODEL_NAME}:{first}"}
        assert served_versions(server) == [first]
        assert value(scrape(server), "model_load_failures_total", reason="changed") == 2
        time.sleep(1.5)  # looked at again, and not refused again
        assert server.log.read_text().count("stays served: ") == 2


def test_a_pinned_version_stays_whatever_latest_becomes(home: Path) -> None:
    versions = home / "models" / MODEL_NAME
    first = (versions / "latest").read_text()
    with serving(home, MODEL_POLL_SECONDS="0.1", MODEL=f"{MODEL_NAME}:{first}") as server:
        copy_version(versions, first, "next")
        make_latest(versions, "next")
        time.sleep(1.5)
        assert model_of(server) == f"{MODEL_NAME}:{first}"


def test_zero_seconds_turn_the_watch_off(home: Path) -> None:
    versions = home / "models" / MODEL_NAME
    first = (versions / "latest").read_text()
    with serving(home, MODEL_POLL_SECONDS="0") as server:
        copy_version(versions, first, "next")
        make_latest(versions, "next")
        time.sleep(1.5)
        assert model_of(server) == f"{MODEL_NAME}:{first}"
