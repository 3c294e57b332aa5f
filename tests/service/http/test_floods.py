"""What one client sends without end, beside its bodies: trailers, and requests that it does not wait for."""

import time
from pathlib import Path

import httpx
import pytest

from tests.support.project import SEVEN
from tests.support.raw_http import Connection, chunked, post, request_headers
from tests.support.serving import Server, serving

MIB = 2**20
CHUNKED = request_headers(content_type="application/json", transfer_encoding="chunked")


def flood(connection: Connection, piece: bytes, num_bytes: int) -> None:
    """Send `piece` until there are `num_bytes`, or the server has cut the connection."""
    try:
        for _ in range(num_bytes // len(piece)):
            connection.send(piece)
    except OSError:
        pass


@pytest.mark.parametrize("trailer", [b"a: b\r\n" * 2000, b"a" * 12_000], ids=["many", "one that grows"])
def test_trailers_without_end_take_no_memory(home: Path, trailer: bytes) -> None:
    with serving(home, REQUEST_TIMEOUT_SECONDS="3") as server:
        server.predict(SEVEN)
        before = server.memory_kib()
        with Connection(server.address) as connection:
            connection.send(CHUNKED + chunked(SEVEN).removesuffix(b"\r\n"))
            flood(connection, trailer, 20 * MIB)
            assert server.memory_kib() < before + 20 * 1024
        assert server.predict(SEVEN).json()["digits"] == [7]


def test_a_request_with_trailers_within_the_limit_is_answered(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(CHUNKED + chunked(SEVEN).removesuffix(b"\r\n") + b"X-Check: " + b"a" * 30_000 + b"\r\n\r\n")
        assert connection.next_answer().json()["digits"] == [7]


def test_requests_that_wait_for_none_of_their_answers_are_cut_off(home: Path) -> None:
    with serving(home) as server:
        server.predict(SEVEN)
        before = server.memory_kib()
        with Connection(server.address) as connection:
            flood(connection, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 500, 4 * MIB)
        assert server.memory_kib() < before + 40 * 1024
        assert server.predict(SEVEN).json()["digits"] == [7]


def test_fifty_requests_sent_at_once_are_answered_in_order(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(post(SEVEN) * 50)
        assert [connection.next_answer().status for _ in range(50)] == [200] * 50


def test_a_client_that_leaves_with_several_requests_under_way_makes_no_traceback(home: Path) -> None:
    with serving(home) as server:
        for pause in (0, 0.001, 0.003) * 20:
            with Connection(server.address) as connection:
                connection.send(post(SEVEN) * 3)
                time.sleep(pause)
        assert server.predict(SEVEN).status_code == 200
        assert "Traceback" not in server.log.read_text()


def test_evidence_for_a_client_of_http_1_0_is_not_sent_in_chunks(server: Server) -> None:
    request = post(SEVEN, target="/predict?explain=true").replace(b"HTTP/1.1", b"HTTP/1.0")
    with Connection(server.address) as connection:
        answer = connection.ask(request)
    expected = httpx.post(f"{server.url}/predict?explain=true", content=SEVEN, headers={"content-type": "application/json"})
    assert "transfer-encoding" not in answer.headers
    assert answer.json() == expected.json()
