"""Which version a running service answers with, whatever becomes of `latest`."""

import time
from pathlib import Path

import httpx

from models.digits import MODEL_NAME
from tests.support.metrics import scrape, value
from tests.support.project import SEVEN
from tests.support.serving import Server, serving
from tests.support.store import copy_version, corrupt, make_latest
from tests.support.training import run_training
from tests.support.waiting import switches_to, until


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
