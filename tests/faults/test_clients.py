"""Clients that leave, send slowly or say nothing, beside others that behave."""

import contextlib
import json
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.protocols.media_types import BYTES
from tests.support.load import Load, loaded, request_of
from tests.support.metrics import counted, scrape, value
from tests.support.raw_http import post, request_headers
from tests.support.serving import Server, serving
from tests.support.waiting import until
from training.data import Mnist

pytestmark = pytest.mark.slow

SLOW, SILENT = 500, 520  # together more than SHELL_LIMIT permits, whatever else is open
LEAVERS = 100  # of each kind
REQUEST_TIMEOUT_SECONDS = 3
SHELL_LIMIT = 1024


def until_counted(server: Server, requests: int, *statuses: str) -> None:
    until(lambda: sum(counted(server, status) for status in statuses) >= requests)


def assert_nothing_grew(before: tuple[int, int, int], after: tuple[int, int, int]) -> None:
    """Compare (memory in KiB, open files, threads) after as many clients as before, with room for what scrapes take."""
    assert all(grown <= room for grown, room in zip(np.subtract(after, before), (2 * 1024, 5, 2), strict=True)), (before, after)


class SlowClients(threading.Thread):
    """Connections that send one byte a second, and begin anew when they are cut off."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server = server
        self.begun, self.answers = 0, Counter[str]()
        self._connections = [self._begin() for _ in range(SLOW)]
        self._stop_sending = threading.Event()

    def _begin(self) -> socket.socket:
        connection = self._server.connect(10)
        connection.sendall(request_headers(Content_Type=BYTES, Content_Length=784))
        connection.setblocking(False)
        self.begun += 1
        return connection

    def run(self) -> None:
        while not self._stop_sending.wait(1):
            for number, connection in enumerate(self._connections):
                try:
                    answer = connection.recv(4096)
                except BlockingIOError:
                    connection.send(b"0")
                else:
                    self.answers[answer[9:12].decode()] += 1
                    connection.close()
                    self._connections[number] = self._begin()

    def stop(self) -> None:
        self._stop_sending.set()
        self.join()
        for connection in self._connections:
            connection.close()


def idle_for(server: Server, seconds: float) -> tuple[SlowClients, int, tuple[float, float]]:
    """Let 500 clients send slowly and 500 say nothing. Return the former, the most files open, and when all were there."""
    slow, silent = SlowClients(server), [server.connect(10) for _ in range(SILENT)]
    slow.start()
    began = time.monotonic()
    time.sleep(seconds)
    ended, open_files = time.monotonic(), server.open_files()
    slow.stop()
    for connection in silent:
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has closed it
            connection.recv(1)
        connection.close()
    return slow, open_files, (began, ended)


@contextlib.contextmanager
def a_shells_limit_of_open_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (SHELL_LIMIT, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def impatient(home: Path) -> Iterator[Server]:
    with contextlib.ExitStack() as until_the_end:
        with a_shells_limit_of_open_files():
            server = until_the_end.enter_context(serving(home, REQUEST_TIMEOUT_SECONDS=str(REQUEST_TIMEOUT_SECONDS)))
        yield server


def rate(load: Load, began: float, ended: float) -> float:
    return sum(began < each.ended < ended for each in load.answers) / (ended - began)


def test_a_thousand_idlers_leave_others_half_their_throughput_and_the_service_nothing(impatient: Server, mnist: Mnist) -> None:
    begun, answers, held, loud, quiet = 0, Counter[str](), [], [], []
    with loaded(impatient, [request_of(mnist.test.images[:1])]) as load:
        for _ in range(3):
            began = time.monotonic()
            time.sleep(2)
            quiet.append((began, time.monotonic()))
            slow, most, while_idle = idle_for(impatient, 2 * REQUEST_TIMEOUT_SECONDS)
            begun, answers = begun + slow.begun, answers + slow.answers
            loud.append(while_idle)
            until_counted(impatient, begun, "408", "499")
            assert most > SHELL_LIMIT
            held.append((impatient.memory_kib(), impatient.open_files(), impatient.threads()))
    assert load.statuses() == {200: len(load.answers)}
    ratio = sum(rate(load, *each) for each in loud) / sum(rate(load, *each) for each in quiet)
    print(f"with {SLOW} slow and {SILENT} silent clients {ratio:.0%} of the throughput; {begun} slow bodies: {dict(answers)}")
    print(f"afterwards, three times (memory in KiB, open files, threads): {held}")
    assert ratio > 0.25  # half, with twofold room
    assert counted(impatient, "408") + counted(impatient, "499") == begun
    assert set(answers) == {"408"}
    assert counted(impatient, "408") >= answers["408"] > SLOW
    assert_nothing_grew(*held[1:])


def test_clients_that_leave_are_counted_and_leave_nothing_behind(home: Path, mnist: Mnist) -> None:
    body = json.dumps({"images": mnist.test.images[:512].tolist()}).encode()
    request = post(body, Accept=BYTES)
    held = []
    with serving(home, MAX_PENDING_BODY_BYTES=str(2**30)) as server:  # room for all of them, so that none is refused
        for turn in range(1, 4):
            for sent in (len(request) // 2, len(request)) * LEAVERS:  # in the middle of sending, in the middle of waiting
                with server.connect(10) as connection:
                    connection.sendall(request[:sent])
            # Where many leave at once, the gate may let in a few more than the queue has room for.
            until_counted(server, 2 * LEAVERS * turn, "200", "499", "429")
            time.sleep(2)  # a second after the last large body, memory is given back
            held.append((server.memory_kib(), server.open_files(), server.threads()))
        answered, left, refused = (counted(server, status) for status in ("200", "499", "429"))
        rejected = value(scrape(server), "rejected_total", reason="client_left")
    print(f"of {6 * LEAVERS} that left {left} are counted so, {answered} as answered, who left too late, {refused} as refused")
    print(f"afterwards, three times (memory in KiB, open files, threads): {held}")
    assert answered + left + refused == 6 * LEAVERS
    assert refused < LEAVERS / 10
    assert rejected == left >= 3 * LEAVERS
    assert_nothing_grew(*held[1:])
