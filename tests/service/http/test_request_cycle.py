"""Answers that are sent before a body was read, to clients that go on sending: over raw sockets."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.types import Message

from service.http.request_cycle import RequestCycle
from service.observability import metrics
from service.protocols.media_types import JSON, PNG
from tests.support.metrics import scrape, value
from tests.support.pictures import encoded
from tests.support.project import SEVEN
from tests.support.raw_http import Connection, post, request_headers
from tests.support.serving import Server, serving
from tests.support.waiting import until

MIB = 2**20
PATIENCE_SECONDS = 1.5
SIZES = ("small", "large")


@pytest.fixture(scope="module")
def impatient(reading_home: Path) -> Iterator[Server]:
    with serving(reading_home, REQUEST_TIMEOUT_SECONDS=str(PATIENCE_SECONDS), MAX_BODY_BYTES=str(MIB)) as server:
        yield server


REFUSED_AT_ONCE = {
    413: {"Content_Type": JSON},
    415: {"Content_Type": "text/plain"},
    404: {"Content_Type": JSON, "target": "/elsewhere"},
}


@pytest.mark.parametrize("status", REFUSED_AT_ONCE)
def test_a_refusal_comes_before_the_body_and_leaves_the_connection_open(impatient: Server, status: int) -> None:
    body = b" " * (MIB // 2 if status == 415 else 8 * MIB)
    with Connection(impatient.address, 30) as connection:
        connection.send(request_headers(Content_Length=len(body), **REFUSED_AT_ONCE[status]))
        started = time.monotonic()
        answer = connection.answer()
        print(f"{status} after {1000 * (time.monotonic() - started):.1f} ms, before a byte of the body")
        assert answer
        assert (answer.status, list(answer.json())) == (status, ["error"])
        assert answer.headers.get("connection") is None
        connection.send(body)
        assert connection.ask(post(SEVEN)).json()["digits"] == [7]


@pytest.mark.parametrize("status", REFUSED_AT_ONCE)
def test_a_client_that_sends_all_and_then_reads_gets_the_refusal(impatient: Server, status: int) -> None:
    body = b" " * (MIB // 2 if status == 415 else 32 * MIB)
    with Connection(impatient.address, 30) as connection:
        request = request_headers(Content_Length=len(body), **REFUSED_AT_ONCE[status]) + body
        assert connection.ask(request).status == status
        assert connection.ask(post(SEVEN)).json()["digits"] == [7]


def test_a_body_in_chunks_that_becomes_too_large_is_refused_in_the_middle(impatient: Server) -> None:
    chunk = b"%x\r\n" % MIB + b" " * MIB + b"\r\n"
    with Connection(impatient.address, 30) as connection:
        connection.send(request_headers(Content_Type=JSON, Transfer_Encoding="chunked"))
        for _ in range(16):
            connection.send(chunk)
        assert connection.ask(b"0\r\n\r\n").status == 413
        assert connection.ask(post(SEVEN)).json()["digits"] == [7]


def test_the_connection_is_cut_after_64_mib_more(impatient: Server) -> None:
    sent = 0
    with Connection(impatient.address, 30) as connection:
        assert connection.ask(request_headers(Content_Type=JSON, Content_Length=2**40)).status == 413
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < 1024 * MIB:
                sent += connection.socket.send(b" " * MIB)
    print(f"cut after {sent / MIB:.0f} MiB, of which the sockets may hold some")
    assert 64 * MIB <= sent <= 128 * MIB


def test_the_connection_is_cut_when_the_rest_does_not_come(impatient: Server) -> None:
    with Connection(impatient.address, 30) as connection:
        assert connection.ask(request_headers(Content_Type=JSON, Content_Length=2 * MIB)).status == 413
        started = time.monotonic()
        assert connection.is_closed_by_the_server()
        assert PATIENCE_SECONDS - 0.2 < time.monotonic() - started < PATIENCE_SECONDS + 2


def test_a_request_that_is_cancelled_before_its_first_byte_counts_as_a_504() -> None:
    async def nothing(*_: object) -> Any:
        raise AssertionError("the request only begins")

    def counted() -> int:
        lines = metrics.exposition().decode().splitlines()
        return sum(line.startswith('digit_classifier_requests_total{route="/begun",status="504"}') for line in lines)

    metrics.start(["/begun"])
    assert counted() == 0
    RequestCycle({"method": "POST", "headers": []}, nothing, nothing, "/begun", 1).count()
    assert counted() == 1


def test_headers_wait_for_the_body_so_that_an_error_can_take_their_place() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def scenario() -> None:
        metrics.start(["/"])
        cycle = RequestCycle({"method": "GET", "headers": []}, receive, send, "/", 1)
        await cycle.receive()
        await cycle.send({"type": "http.response.start", "status": 200, "headers": []})
        assert (sent, cycle.status) == ([], None)
        await cycle.send({"type": "http.response.start", "status": 500, "headers": []})
        await cycle.send({"type": "http.response.body", "body": b"no"})
        assert [message.get("status") for message in sent] == [500, None]

    asyncio.run(scenario())


def test_requests_and_bodies_that_are_pending_can_be_scraped(impatient: Server) -> None:
    def pending() -> tuple[float, ...]:
        series = scrape(impatient)
        # The scrape is one itself.
        return value(series, "requests_in_flight") - 1, *(value(series, "body_bytes_pending", size=size) for size in SIZES)

    assert pending() == (0, 0, 0)
    with Connection(impatient.address, 30) as connection:
        connection.send(request_headers(Content_Type=JSON, Content_Length=MIB) + b" " * 1000)
        until(lambda: pending() == (1, 0, MIB))
        until(lambda: pending() == (1, 0, 1000))
    with Connection(impatient.address, 30) as connection:
        connection.send(request_headers(Content_Type=JSON, Content_Length=2000) + b" " * 1000)
        until(lambda: pending() == (1, 1000, 0))
    until(lambda: pending() == (0, 0, 0))


def test_a_slow_body_is_a_408_and_the_connection_is_cut(impatient: Server) -> None:
    with Connection(impatient.address, 30) as connection:
        answer = connection.ask(request_headers(Content_Type=JSON, Content_Length=100))
        assert (answer.status, answer.headers.get("connection")) == (408, "close")
        assert connection.is_closed_by_the_server()


def test_a_client_that_asks_before_it_sends_is_told_not_to(impatient: Server) -> None:
    with Connection(impatient.address, 30) as connection:
        assert connection.ask(request_headers(Content_Type=JSON, Content_Length=2 * MIB, Expect="100-continue")).status == 413


def test_what_is_cut_off_or_discarded_is_counted_once_and_not_logged(impatient: Server) -> None:
    refused = {"route": "/predict", "status": "413"}
    before = value(scrape(impatient), "requests_total", **refused)
    with Connection(impatient.address, 30) as connection:
        connection.ask(request_headers(Content_Type=JSON, Content_Length=2 * MIB))
        assert value(scrape(impatient), "requests_total", **refused) == before + 1
        assert connection.is_closed_by_the_server()
    assert value(scrape(impatient), "requests_total", **refused) == before + 1
    lines = [json.loads(line)["message"] for line in impatient.log.read_text().splitlines()]
    assert not [line for line in lines if "without completing" in line or "Invalid HTTP" in line]


HEADERS_OF_SEVEN = request_headers(Content_Type=JSON, Content_Length=len(SEVEN))
OFFERS = {
    "as Java's client does": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB",
    "in two headers": "Connection: upgrade\r\nConnection: keep-alive\r\nUpgrade: h2c",
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_offer_to_upgrade_is_refused_since_its_body_would_be_taken_for_a_request(impatient: Server, offer: str) -> None:
    with Connection(impatient.address, 30) as connection:
        request = HEADERS_OF_SEVEN.removesuffix(b"\r\n") + offer.encode() + b"\r\n\r\n" + SEVEN
        answer = connection.ask(request)
        assert (answer.status, answer.headers.get("connection")) == (400, "close")
        sentence = "the request offers to upgrade to h2c; send it in HTTP/1.1 alone, without the header Upgrade."
        assert answer.json()["error"] == sentence
        assert connection.is_closed_by_the_server()


def test_the_body_of_an_offer_that_comes_while_a_request_before_it_is_answered_spoils_no_answer(impatient: Server) -> None:
    large = post(encoded(Image.new("L", (2500, 2500), 255), "png"), PNG)  # of one colour, and takes long to say so
    offer = HEADERS_OF_SEVEN.removesuffix(b"\r\n") + OFFERS["in two headers"].encode() + b"\r\n\r\n"
    with Connection(impatient.address, 30) as connection:
        connection.send(large + offer + SEVEN[:9])
        time.sleep(0.02)  # in which that is not answered yet
        connection.send(SEVEN[9:])
        sentences = [connection.next_answer().json()["error"] for _ in range(2)]
        assert ["blank" in sentences[0], "offers to upgrade" in sentences[1]] == [True, True], sentences
        assert connection.is_closed_by_the_server()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"GET /model HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200),
        (request_headers("GET", "/model", Connection="Upgrade", Upgrade="websocket", Sec_WebSocket_Version=13), 200),
        (b"CONNECT /model HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", 405),
    ],
)
def test_other_offers_of_another_protocol_are_answered_and_end_the_connection(
    impatient: Server, headers: bytes, status: int
) -> None:
    with Connection(impatient.address, 30) as connection:
        answer = connection.ask(headers)
        assert (answer.status, answer.headers.get("connection")) == (status, "close")
        assert connection.is_closed_by_the_server()


def test_a_word_that_has_upgrade_in_it_is_no_offer(impatient: Server) -> None:
    words = b"Connection: keep-alive, xupgradex\r\nUpgrade: h2c\r\n\r\n"
    with Connection(impatient.address, 30) as connection:
        assert connection.ask(HEADERS_OF_SEVEN.removesuffix(b"\r\n") + words + SEVEN).json()["digits"] == [7]


def test_a_length_with_zeros_before_it_is_that_length(impatient: Server) -> None:
    with Connection(impatient.address, 30) as connection:
        request = request_headers(Content_Type=JSON, Content_Length="0" * 5000 + str(len(SEVEN))) + SEVEN
        assert connection.ask(request).json()["digits"] == [7]
