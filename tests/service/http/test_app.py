"""Faults and clients that misbehave, in process where the fault must be planted, over a socket where the client does it."""

import asyncio
import json
import socket
import time
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest

from models.digits import MODEL_NAME
from service.http.app import App
from service.inference.batcher import Batcher
from service.inference.model_repository import ModelRepository
from service.process.shutdown import Shutdown
from service.settings import Settings
from tests.conftest import ROOT
from tests.service.observability.test_metrics import scrape, value
from tests.support.serving import Server, serving

SEVEN = (ROOT / "examples/seven.json").read_bytes()


async def bentoml_application(scope, receive, send) -> None:
    raise AssertionError("the door leaves this to BentoML's application")


def ask(door: App, method: str, path: str, **request) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://door") as client:
            return await client.request(method, path, **request)

    return asyncio.run(send())


def test_a_fault_is_a_500_without_a_traceback_and_the_log_has_it(
    published_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    repository = ModelRepository(f"{MODEL_NAME}:latest", "cpu")
    door = App(bentoml_application, repository, Batcher(1024, 8192), Settings(), Shutdown(0))
    headers = {"content-type": "application/json"}
    answer = ask(door, "POST", "/predict", content=SEVEN, headers=headers)  # nothing is loaded yet: a fault of ours
    assert (answer.status_code, list(answer.json())) == (500, ["error"])
    assert "Traceback" not in answer.text
    assert "load() comes before the first request" in caplog.text
    repository.load()
    assert ask(door, "POST", "/predict", content=SEVEN, headers=headers).json()["digits"] == [7]


def partial_request(server: Server, body: bytes, announced: int) -> socket.socket:
    connection = server.connect()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {announced}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def answer_on(connection: socket.socket) -> tuple[int, dict[str, str]]:
    connection.settimeout(20)
    answer = HTTPResponse(connection)
    answer.begin()
    return answer.status, json.loads(answer.read())


def test_a_body_that_does_not_come_in_time_is_a_408(home: Path) -> None:
    with serving(home, REQUEST_TIMEOUT_SECONDS="0.5") as server, partial_request(server, SEVEN[:100], len(SEVEN)) as connection:
        status, body = answer_on(connection)
        assert status == 408
        assert "the body was not complete after 0.5 s" in body["error"]
        assert value(scrape(server), "requests_total", route="/predict", status="408") == 1


def test_a_client_that_left_is_counted_as_such(server: Server) -> None:
    left = {"route": "/predict", "status": "499"}
    before = value(scrape(server), "requests_total", **left)
    partial_request(server, SEVEN[:100], len(SEVEN)).close()
    deadline = time.monotonic() + 10
    while value(scrape(server), "requests_total", **left) == before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert value(scrape(server), "requests_total", **left) == before + 1
    assert server.predict(SEVEN).status_code == 200


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    with partial_request(server, b"", 2**40) as connection:
        status, body = answer_on(connection)
    assert status == 413
    assert list(body) == ["error"]
