"""Clients on keep-alive connections, in a process of their own, that write down how each request was answered."""

import contextlib
import multiprocessing
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Protocol

import numpy as np

from models.digits import check_images
from models.engine import load_engine
from service.protocols.media_types import BYTES
from tests.support.raw_http import Connection, post

RETRIED = (0, 429, 503)


class HasAddress(Protocol):
    """A server, or a proxy with several behind it."""

    @property
    def address(self) -> tuple[str, int]: ...


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


def request_of(images: np.ndarray) -> bytes:
    """Return a request for `images` (N, 784) whose answer is float32 probabilities, so that every bit can be compared."""
    return post(images.tobytes(), BYTES, Accept=BYTES)


def answer_of(version: Path, images: np.ndarray) -> bytes:
    """Return what the version in that folder answers to `request_of(images)`."""
    return load_engine(version, "cpu").run(check_images(images), False).probabilities.astype("<f4").tobytes()


@contextlib.contextmanager
def loaded(
    server: HasAddress, requests: Sequence[bytes], connections: int = 8, pause: float = 0, retry_seconds: float = 0
) -> Iterator[Load]:
    """Send `requests` in turn over each connection until the block ends; the `Load` then has how each was answered.

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


def _run(parent: Pipe, address: tuple[str, int], requests: Sequence[bytes], connections: int, *times: float) -> None:
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
        self._connection: Connection | None = None
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
            connection.send(self._requests[request])
            sent = time.monotonic()
            answer = connection.next_answer()
            status, version, body = answer.status, answer.headers.get("x-model-version", ""), answer.content
            if answer.is_last:
                self._close()
        except (ConnectionError, TimeoutError, EOFError) as error:
            lost = {ConnectionRefusedError: "refused", EOFError: "closed", TimeoutError: "silent"}.get(type(error), "reset")
            self._close()
        return Answer(request, status, lost, began, sent, time.monotonic(), tries, version, self._bodies.setdefault(body, body))

    def _usable_connection(self) -> Connection:
        """Return a connection that the server has not closed, as far as one can see: every pool of connections looks."""
        if self._connection and self._connection.has_something_to_read():
            self._close()
        if not self._connection:
            self._connection = Connection(self._address, seconds=30)
        return self._connection

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None
