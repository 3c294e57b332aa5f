"""Answers that are sent before a body was read, to clients that go on sending: over raw sockets."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.service.inference.test_model_repository import SEVEN
from tests.service.observability.test_metrics import scrape, value
from tests.support.serving import Server, serving

MIB = 2**20
PATIENCE_SECONDS = 1.5


def head(path: str = "/predict", content_type: str = "application/json", **more: str | int) -> bytes:
    headers = {"Host": "x", "Content-Type": content_type} | {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def answer_on(connection: socket.socket) -> tuple[HTTPResponse, dict]:
    answer = HTTPResponse(connection)
    answer.begin()
    return answer, json.loads(answer.read())


def is_cut(connection: socket.socket) -> bool:
    """Say whether the server closes the connection before long."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.fixture(scope="module")
def impatient(reading_home: Path) -> Iterator[Server]:
    with serving(reading_home, REQUEST_TIMEOUT_SECONDS=str(PATIENCE_SECONDS), MAX_BODY_BYTES=str(MIB)) as server:
        yield server


REFUSED_AT_ONCE = {
    413: {},
    415: {"content_type": "text/plain"},
    404: {"path": "/elsewhere"},
}


@pytest.mark.parametrize("status", REFUSED_AT_ONCE)
def test_a_refusal_comes_before_the_body_and_leaves_the_connection_open(impatient: Server, status: int) -> None:
    body = b" " * (MIB // 2 if status == 415 else 8 * MIB)
    with impatient.connect(30) as connection:
        connection.sendall(head(Content_Length=len(body), **REFUSED_AT_ONCE[status]))
        started = time.monotonic()
        answer, error = answer_on(connection)
        print(f"{status} after {1000 * (time.monotonic() - started):.1f} ms, before a byte of the body")
        assert (answer.status, list(error)) == (status, ["error"])
        assert answer.getheader("connection") is None
        connection.sendall(body)
        connection.sendall(head(Content_Length=len(SEVEN)) + SEVEN)
        assert answer_on(connection)[1]["digits"] == [7]


@pytest.mark.parametrize("status", REFUSED_AT_ONCE)
def test_a_client_that_sends_all_and_then_reads_gets_the_refusal(impatient: Server, status: int) -> None:
    body = b" " * (MIB // 2 if status == 415 else 32 * MIB)
    with impatient.connect(30) as connection:
        connection.sendall(head(Content_Length=len(body), **REFUSED_AT_ONCE[status]))
        connection.sendall(body)
        assert answer_on(connection)[0].status == status
        connection.sendall(head(Content_Length=len(SEVEN)) + SEVEN)
        assert answer_on(connection)[1]["digits"] == [7]


def test_a_body_in_chunks_that_becomes_too_large_is_refused_in_the_middle(impatient: Server) -> None:
    chunk = b"%x\r\n" % MIB + b" " * MIB + b"\r\n"
    with impatient.connect(30) as connection:
        connection.sendall(head(Transfer_Encoding="chunked"))
        for _ in range(16):
            connection.sendall(chunk)
        connection.sendall(b"0\r\n\r\n")
        assert answer_on(connection)[0].status == 413
        connection.sendall(head(Content_Length=len(SEVEN)) + SEVEN)
        assert answer_on(connection)[1]["digits"] == [7]


def test_the_connection_is_cut_after_64_mib_more(impatient: Server) -> None:
    sent = 0
    with impatient.connect(30) as connection:
        connection.sendall(head(Content_Length=2**40))
        assert answer_on(connection)[0].status == 413
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < 1024 * MIB:
                sent += connection.send(b" " * MIB)
    print(f"cut after {sent / MIB:.0f} MiB, of which the sockets may hold some")
    assert 64 * MIB <= sent <= 128 * MIB


def test_the_connection_is_cut_when_the_rest_does_not_come(impatient: Server) -> None:
    with impatient.connect(30) as connection:
        connection.sendall(head(Content_Length=2 * MIB))
        assert answer_on(connection)[0].status == 413
        started = time.monotonic()
        assert is_cut(connection)
        assert PATIENCE_SECONDS - 0.2 < time.monotonic() - started < PATIENCE_SECONDS + 2


def test_a_slow_body_is_a_408_and_the_connection_is_cut(impatient: Server) -> None:
    with impatient.connect(30) as connection:
        connection.sendall(head(Content_Length=100))
        answer, _ = answer_on(connection)
        assert (answer.status, answer.getheader("connection")) == (408, "close")
        assert is_cut(connection)


def test_a_client_that_asks_before_it_sends_is_told_not_to(impatient: Server) -> None:
    with impatient.connect(30) as connection:
        connection.sendall(head(Content_Length=2 * MIB, Expect="100-continue"))
        assert answer_on(connection)[0].status == 413


def test_what_is_cut_or_thrown_away_is_counted_once_and_not_logged(impatient: Server) -> None:
    refused = {"route": "/predict", "status": "413"}
    before = value(scrape(impatient), "requests_total", **refused)
    with impatient.connect(30) as connection:
        connection.sendall(head(Content_Length=2 * MIB))
        answer_on(connection)
        assert value(scrape(impatient), "requests_total", **refused) == before + 1
        assert is_cut(connection)
    assert value(scrape(impatient), "requests_total", **refused) == before + 1
    lines = [json.loads(line)["message"] for line in impatient.log.read_text().splitlines()]
    assert not [line for line in lines if "without completing" in line or "Invalid HTTP" in line]


OFFERS = {
    "as Java's client does": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB",
    "in two headers": "Connection: upgrade\r\nConnection: keep-alive\r\nUpgrade: h2c",
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_offer_to_upgrade_is_refused_since_its_body_would_be_taken_for_a_request(impatient: Server, offer: str) -> None:
    with impatient.connect(30) as connection:
        connection.sendall(head(Content_Length=len(SEVEN)).removesuffix(b"\r\n") + offer.encode() + b"\r\n\r\n" + SEVEN)
        answer, error = answer_on(connection)
        assert (answer.status, answer.getheader("connection")) == (400, "close")
        assert error["error"] == "the request offers to upgrade to h2c; send it in HTTP/1.1 alone, without the header Upgrade."
        assert is_cut(connection)


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /model HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200),
        (b"CONNECT /model HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", 405),
    ],
)
def test_other_offers_of_another_protocol_are_answered_and_end_the_connection(
    impatient: Server, request_head: bytes, status: int
) -> None:
    with impatient.connect(30) as connection:
        connection.sendall(request_head)
        answer, _ = answer_on(connection)
        assert (answer.status, answer.getheader("connection")) == (status, "close")
        assert is_cut(connection)


def test_a_word_that_has_upgrade_in_it_is_no_offer(impatient: Server) -> None:
    words = b"Connection: keep-alive, xupgradex\r\nUpgrade: h2c\r\n\r\n"
    with impatient.connect(30) as connection:
        connection.sendall(head(Content_Length=len(SEVEN)).removesuffix(b"\r\n") + words + SEVEN)
        assert answer_on(connection)[1]["digits"] == [7]


def test_a_length_with_zeros_before_it_is_that_length(impatient: Server) -> None:
    with impatient.connect(30) as connection:
        connection.sendall(head(Content_Length="0" * 5000 + str(len(SEVEN))) + SEVEN)
        assert answer_on(connection)[1]["digits"] == [7]


def test_a_head_without_end_is_cut_off(impatient: Server) -> None:
    with impatient.connect(30) as connection:
        connection.sendall(head(Content_Length=len(SEVEN)) + SEVEN)
        assert answer_on(connection)[1]["digits"] == [7]
        connection.sendall(b"GET /model HTTP/1.1\r\nX: ")
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(10_000):
                connection.sendall(b"a" * 10_000)
            pytest.fail("100 MB of header were taken in")


@pytest.mark.parametrize("size", [30_000, 60_000])
def test_a_long_head_is_answered(impatient: Server, size: int) -> None:
    with impatient.connect(30) as connection:
        connection.sendall(head(Content_Length=len(SEVEN), X="a" * size) + SEVEN)
        assert answer_on(connection)[1]["digits"] == [7]
