"""Faults and clients that misbehave, in process where the fault must be planted, over a socket where the client does it."""

import asyncio
from pathlib import Path

import httpx
import pytest

from models.digits import MODEL_NAME
from service.http.app import App
from service.inference.health import EngineHealth
from service.inference.model_repository import ModelRepository
from service.inference.predictor import Predictor
from service.process.shutdown import Shutdown
from service.protocols.media_types import JSON
from service.settings import Settings
from tests.support.metrics import scrape, value
from tests.support.project import SEVEN
from tests.support.raw_http import Connection, request_headers
from tests.support.serving import Server, serving
from tests.support.waiting import until


async def bentoml_application(scope, receive, send) -> None:
    raise AssertionError("the app leaves this to BentoML's application")


@pytest.fixture
def predictor(published_store: Path) -> Predictor:
    """Return a predictor that has not loaded a version yet."""
    return Predictor(ModelRepository(f"{MODEL_NAME}:latest", "cpu"), Settings())


@pytest.fixture
def health(predictor: Predictor) -> EngineHealth:
    return EngineHealth(predictor.batcher, predictor.repository, 1)


@pytest.fixture
def app(predictor: Predictor, health: EngineHealth) -> App:
    return App(bentoml_application, predictor, health, Settings(), Shutdown(0))


def call(app: App, method: str, path: str, **request) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            return await client.request(method, path, **request)

    return asyncio.run(send())


def test_a_fault_is_a_500_without_a_traceback_and_the_log_has_it(
    app: App, predictor: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"content-type": "application/json"}
    answer = call(app, "POST", "/predict", content=SEVEN, headers=headers)  # nothing is loaded yet: a fault of ours
    assert (answer.status_code, list(answer.json())) == (500, ["error"])
    assert "Traceback" not in answer.text
    assert "load() comes before the first request" in caplog.text
    predictor.repository.load()
    assert call(app, "POST", "/predict", content=SEVEN, headers=headers).json()["digits"] == [7]


@pytest.mark.parametrize(("failures", "ready", "alive"), [(0, 200, 200), (1, 503, 200), (6, 503, 503)])
def test_the_probes_tell_of_an_engine_that_does_not_answer(
    app: App, health: EngineHealth, failures: int, ready: int, alive: int
) -> None:
    health.num_failures = failures
    readyz, livez = call(app, "GET", "/readyz"), call(app, "GET", "/livez")
    assert (readyz.status_code, livez.status_code) == (ready, alive)
    silent = [each for each in (readyz, livez) if each.status_code == 503]
    assert all("the engine does not answer" in each.json()["error"] for each in silent)
    assert all(each.json()["error"].endswith("or retry after 10 s.") for each in silent)
    assert {each.headers["retry-after"] for each in silent} <= {"10"}


PART_OF_SEVEN = request_headers(Content_Type=JSON, Content_Length=len(SEVEN)) + SEVEN[:100]


def test_a_body_that_does_not_come_in_time_is_a_408(home: Path) -> None:
    with serving(home, REQUEST_TIMEOUT_SECONDS="0.5") as server, Connection(server.address, 20) as connection:
        answer = connection.ask(PART_OF_SEVEN)
        assert answer.status == 408
        assert "the body was not complete after 0.5 s" in answer.json()["error"]
        assert value(scrape(server), "requests_total", route="/predict", status="408") == 1


def test_a_client_that_left_is_counted_as_such(server: Server) -> None:
    left = {"route": "/predict", "status": "499"}
    before = value(scrape(server), "requests_total", **left)
    with Connection(server.address) as connection:
        connection.send(PART_OF_SEVEN)
    until(lambda: value(scrape(server), "requests_total", **left) > before, 10)
    assert value(scrape(server), "requests_total", **left) == before + 1
    assert server.predict(SEVEN).status_code == 200


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    with Connection(server.address, 20) as connection:
        answer = connection.ask(request_headers(Content_Type=JSON, Content_Length=2**40))
    assert answer.status == 413
    assert list(answer.json()) == ["error"]
