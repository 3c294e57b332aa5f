"""What the proxy does that the service alone cannot, and how it speaks when it answers itself."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.stack import HEADERS, Stack, docker

MEBIBYTE = 2**20


def connected(stack: Stack, sent: bytes) -> socket.socket:
    connection = socket.create_connection(stack.address)
    connection.sendall(sent)
    return connection


def rest_of(connection: socket.socket) -> tuple[bytes, float]:
    """Return what comes until the other side closes, and after how many seconds it does."""
    began, came = time.monotonic(), b""
    connection.settimeout(30)
    while chunk := connection.recv(65536):
        came += chunk
    return came, time.monotonic() - began


def test_connections_that_never_finish_are_cut(stack: Stack) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    never = {
        "silent": b"",
        "headers without an end": head,
        "a body that stops": head + b"Content-Length: 1000\r\n\r\n{",
        "idle after an answer": b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    }
    with ThreadPoolExecutor(len(never)) as pool:
        ended = dict(zip(never, pool.map(lambda sent: rest_of(connected(stack, sent)), never.values()), strict=True))
    seconds = {name: seconds for name, (_, seconds) in ended.items()}
    assert 9 < seconds.pop("a body that stops") < 25  # the service's 408 after 10 s, and as long again
    assert all(9 < each < 17 for each in seconds.values()), seconds
    assert b" 408 " in ended["headers without an end"][0]
    assert b" 408 " in ended["a body that stops"][0]
    assert b" 200 " in ended["idle after an answer"][0]


def test_headers_that_trickle_do_not_gain_time(stack: Stack) -> None:
    connection = connected(stack, b"GET /livez HTTP/1.1\r\n")
    began = time.monotonic()
    with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
        trickle(connection, seconds=20)
    assert 9 < time.monotonic() - began < 17


def trickle(connection: socket.socket, seconds: int) -> None:
    for _ in range(seconds):
        connection.sendall(b"X-Slow: 1\r\n")
        time.sleep(1)


@pytest.mark.parametrize("bytes_over", [0, 1])
def test_a_body_has_the_same_limit_as_in_the_service(stack: Stack, bytes_over: int) -> None:
    answer = httpx.post(f"{stack.url}/predict", content=b" " * (16 * MEBIBYTE + bytes_over), headers=HEADERS, timeout=30)
    assert answer.status_code == (413 if bytes_over else 400)
    assert list(answer.json()) == ["error"]


def test_a_body_without_a_length_has_that_limit_too(stack: Stack) -> None:
    pieces = (b" " * MEBIBYTE for _ in range(17))
    answer = httpx.post(f"{stack.url}/predict", content=pieces, headers=HEADERS, timeout=30)
    assert answer.status_code == 413
    assert list(answer.json()) == ["error"]


def test_what_is_not_http_is_told_so_and_cut(stack: Stack) -> None:
    came, seconds = rest_of(connected(stack, b"what is this?\r\n\r\n"))
    assert b" 400 " in came
    assert seconds < 5


def test_the_proxys_metrics_are_not_published(stack: Stack) -> None:
    assert not docker("port", stack.containers("proxy")[0]).count("8404")


@pytest.mark.parametrize(
    "target", ["/metrics", "/%6detrics?x=1", "http://x/metrics", "//metrics", "/./metrics", "/web/../metrics"]
)
def test_the_services_metrics_are_not_published(stack: Stack, target: str) -> None:
    came, _ = rest_of(connected(stack, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()))
    assert b"digit_classifier_" not in came
    assert came.split(b" ")[1] in (b"403", b"404")
    assert b'{"error":"' in came


def test_who_asks_for_metrics_is_told_where_they_are(stack: Stack) -> None:
    answer = httpx.get(f"{stack.url}/metrics")
    assert answer.status_code == 403
    assert answer.json() == {"error": "metrics are not public; Prometheus asks the replicas for them."}
