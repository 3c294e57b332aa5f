"""Clients on keep-alive connections, in a process of their own, that write down how each request was answered."""

import contextlib
import multiprocessing
import select
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from models.digits import check_images
from models.engine import load_engine
from service.protocols.answers import BYTES
from tests.support.serving import Server

RETRIED = (0, 429, 503)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request. Times are `time.monotonic`, which all processes of a machine share."""

    request: int
    status: int  # 0: the connection was lost
    lost: str  # how: refused, reset, closed or silent
    began: float
    sent: float  # the system had taken the whole request; 0: it had not
    ended: float
    tries: int
    version: str
    body: bytes

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass
class Load:
    answers: list[Answer] = field(default_factory=list)

    def statuses(self) -> dict[int, int]:
        return Counter(each.status for each in self.answers)


def head(length: int, content_type: str = BYTES, accept: str = BYTES) -> bytes:
    lines = ("POST /predict HTTP/1.1", "Host: x", f"Content-Type: {content_type}", f"Accept: {accept}")
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def request_of(images: np.ndarray) -> bytes:
    """Return a request for `images` (N, 784) whose answer is float32 probabilities, so that every bit can be compared."""
    return head(images.size) + images.tobytes()


def answer_of(version: Path, images: np.ndarray) -> bytes:
    """Return what the version in that folder answers to `request_of(images)`."""
    return load_engine(version, "cpu").run(check_images(images)).astype("<f4").tobytes()


@contextlib.contextmanager
def loaded(
    server: Server, requests: Sequence[bytes], connections: int = 8, pause: float = 0, retry_seconds: float = 0
) -> Iterator[Load]:
    """Send `requests` in turn over each connection until the block ends; what came of them is in the `Load` then.

    A request that is lost, or answered 429 or 503, is sent again for `retry_seconds`.
    """
    ours, theirs = multiprocessing.Pipe()
    arguments = (theirs, server.address, requests, connections, pause, retry_seconds)
    process = multiprocessing.get_context("spawn").Process(target=_run, args=arguments, daemon=True)
    process.start()
    load = Load()
    try:
        assert ours.poll(30), "the clients did not start"
        ours.recv()
        yield load
        ours.send("stop")
        assert ours.poll(30 + retry_seconds), "the clients did not end"
        load.answers += ours.recv()
    finally:
        process.kill()
        process.join()


def _run(parent: Connection, address: tuple[str, int], requests: Sequence[bytes], connections: int, *times: float) -> None:
    sys.setswitchinterval(0.0005)  # else a thread that has an answer waits 5 ms for one that is busy
    stop = threading.Event()
    clients = [_Client(address, requests, number, stop, *times) for number in range(connections)]
    for client in clients:
        client.start()
    parent.send("started")
    parent.recv()
    stop.set()
    for client in clients:
        client.join()
    parent.send([answer for client in clients for answer in client.answers])


class _Client(threading.Thread):
    def __init__(
        self, address: tuple[str, int], requests: Sequence[bytes], first: int, stop: threading.Event, pause: float, retry: float
    ) -> None:
        super().__init__(daemon=True)
        self.answers: list[Answer] = []
        self._address, self._requests, self._first = address, requests, first
        self._stop_asking, self._pause, self._retry_seconds = stop, pause, retry
        self._connection: socket.socket | None = None
        self._bodies: dict[bytes, bytes] = {}  # each kept once, however often it comes

    def run(self) -> None:
        turn = self._first
        while not self._stop_asking.is_set():
            self.answers.append(self._ask_until_answered(turn % len(self._requests)))
            turn += 1
            if self._pause:
                time.sleep(self._pause)

    def _ask_until_answered(self, request: int) -> Answer:
        began, tries = time.monotonic(), 1
        while (answer := self._ask(request, began, tries)).status in RETRIED:
            time.sleep(0.01)
            if answer.seconds > self._retry_seconds:
                break
            tries += 1
        return answer

    def _ask(self, request: int, began: float, tries: int) -> Answer:
        sent, status, version, body, lost = 0.0, 0, "", b"", ""
        try:
            connection = self._usable_connection()
            connection.sendall(self._requests[request])
            sent = time.monotonic()
            status, version, body = self._read(connection)
        except (ConnectionError, TimeoutError) as error:
            lost = {ConnectionRefusedError: "refused", EOFConnection: "closed", TimeoutError: "silent"}.get(
                type(error), "reset"
            )
            self._close()
        return Answer(request, status, lost, began, sent, time.monotonic(), tries, version, self._bodies.setdefault(body, body))

    def _usable_connection(self) -> socket.socket:
        """Return a connection that the server has not closed, as far as one can see: every pool of connections looks."""
        if self._connection and select.select([self._connection], [], [], 0)[0]:
            self._close()
        if not self._connection:
            self._connection = socket.create_connection(self._address, timeout=30)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._connection

    def _read(self, connection: socket.socket) -> tuple[int, str, bytes]:
        came = b""
        while (end := came.find(b"\r\n\r\n")) < 0:
            came += _received(connection)
        lines = came[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        body, length = came[end + 4 :], int(headers["content-length"])
        while len(body) < length:
            body += _received(connection)
        if headers.get("connection") == "close":
            self._close()
        return int(lines[0].split(" ")[1]), headers.get("x-model-version", ""), body

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


class EOFConnection(ConnectionError):
    """The server closed the connection instead of answering."""


def _received(connection: socket.socket) -> bytes:
    if not (came := connection.recv(65536)):
        raise EOFConnection
    return came
