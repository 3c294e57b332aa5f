"""Request lines and headers at the limit and beyond it, cut into pieces in several ways, over raw sockets."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.http.transport import MAX_HEADER_BYTES
from tests.support.project import SEVEN
from tests.support.raw_http import PATIENCE_SECONDS, Connection, post
from tests.support.serving import Server, serving
from tests.support.waiting import until

KIB = 2**10
Cut = Callable[[bytes], list[bytes]]


@pytest.fixture(scope="module")
def patient(reading_home: Path) -> Iterator[Server]:
    """Return a service that waits longer for its clients than the connections of these tests for an answer or its end."""
    with serving(reading_home, REQUEST_TIMEOUT_SECONDS=str(PATIENCE_SECONDS + 1)) as server:
        yield server


def request_with_headers_of(size: int, body: bytes = SEVEN) -> bytes:
    """Return a request to /predict whose request line and headers have `size` bytes."""
    return post(body, X="a" * (size - len(post(body, X="")) + len(body)))


CUTS = {
    "in one piece": lambda data: [data],
    "in forty": lambda data: [data[start : start + len(data) // 39] for start in range(0, len(data), len(data) // 39)],
    "before the last byte of the limit": lambda data: [data[: MAX_HEADER_BYTES - 1], data[MAX_HEADER_BYTES - 1 :]],
    "at the limit": lambda data: [data[:MAX_HEADER_BYTES], data[MAX_HEADER_BYTES:]],
    "in its last byte": lambda data: [data[:-1], data[-1:]],
}


def send_pieces(connection: Connection, pieces: list[bytes]) -> None:
    for piece in pieces:
        connection.send(piece)
        time.sleep(0.005)


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("size", [30_000, MAX_HEADER_BYTES - 1, MAX_HEADER_BYTES])
def test_headers_of_up_to_the_limit_are_read_however_they_are_cut(patient: Server, cut: Cut, size: int) -> None:
    with Connection(patient.address) as connection:
        for _ in range(2):
            send_pieces(connection, cut(request_with_headers_of(size)))
            assert connection.next_answer().json()["digits"] == [7]


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("size", [MAX_HEADER_BYTES + 1, 100 * KIB, 900 * KIB])
@pytest.mark.parametrize("is_first", [True, False], ids=["on a new connection", "after another"])
def test_longer_headers_are_a_431_however_they_are_cut(patient: Server, cut: Cut, size: int, is_first: bool) -> None:
    with Connection(patient.address) as connection:
        if not is_first:
            assert connection.ask(post(SEVEN)).status == 200
        send_pieces(connection, cut(request_with_headers_of(size)))
        answer = connection.next_answer()
        assert (answer.status, answer.is_last) == (431, True)
        assert answer.json()["error"].startswith("request line and headers exceed 64 KiB;")
        assert connection.socket.recv(1) == b""


def test_requests_before_one_with_long_headers_are_answered(patient: Server) -> None:
    with Connection(patient.address) as connection:
        connection.send(post(SEVEN) * 2 + request_with_headers_of(8000 * KIB))
        assert [connection.next_answer().status for _ in range(3)] == [200, 200, 431]
        assert connection.socket.recv(1) == b""


def test_headers_without_end_are_cut_off(patient: Server) -> None:
    with Connection(patient.address) as connection:
        assert connection.ask(post(SEVEN)).status == 200
        connection.send(b"GET /model HTTP/1.1\r\nX: ")
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(10_000):
                connection.send(b"a" * 10_000)
            pytest.fail("100 MB of header were taken in")


def test_a_client_that_stays_after_a_431_is_cut_off(patient: Server) -> None:
    with Connection(patient.address) as connection:
        assert connection.ask(request_with_headers_of(100 * KIB)).status == 431
        until(lambda: is_lost(connection))


def is_lost(connection: Connection) -> bool:
    try:
        connection.send(b"a")
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False
