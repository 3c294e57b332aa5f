"""Minutes of good, bad, huge and broken requests leave memory, open files and threads as they were."""

import json
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from service.protocols.media_types import BYTES
from tests.support.load import loaded, request_of
from tests.support.project import ROOT
from tests.support.raw_http import post
from tests.support.serving import Server, serving
from training.data import Mnist

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("SOAK_SECONDS", "180"))
LEAK_SECONDS = 30
ALLOWED_KIB = 2 * 1024
HUGE_BYTES = 10 * 2**20

Held = tuple[int, int, int]  # memory in KiB, open files, threads

# One kilobyte for each request that is counted.
LEAKING_SERVICE = """
from service.observability import metrics

kept, count = [], metrics.count_request

def count_and_keep(*request):
    kept.append(bytes(1024))
    count(*request)

metrics.count_request = count_and_keep

from service.service import DigitClassifier
"""


def everyday_requests(images: np.ndarray) -> dict[bytes, int]:
    """Return good and bad requests, and the status that each is to have."""
    good = {request_of(images[:size]): 200 for size in (1, 2, 64, 300)}
    good[post(json.dumps({"images": images[:20].tolist()}).encode(), Accept=BYTES)] = 200
    bad = {post(body, Accept=BYTES): 400 for body in (b"{", b'{"images": [[0, 0, 256]]}', b"\x00\xff", b"[" * 1000, b"")}
    other = {post(b"a seven", "text/plain"): 415, post(bytes(785), BYTES): 400, post(bytes(1025 * 784), BYTES): 413}
    elsewhere = {request_of(images[:1]).replace(b"/predict", b"/elsewhere"): 404}
    return good | bad | other | elsewhere


def huge_requests(images: np.ndarray) -> dict[bytes, int]:
    """Return 10 MB of JSON that is good, and the same with a mistake at its very end."""
    body = json.dumps({"images": images[:1024].tolist()}).encode().ljust(HUGE_BYTES)
    return {post(body, Accept=BYTES): 200, post(body[:-1] + b"}", Accept=BYTES): 400}


@contextmanager
def broken_off(server: Server, request: bytes) -> Iterator[None]:
    """Meanwhile, let clients break off after half a request, and others send what is not HTTP."""
    stop = threading.Event()

    def break_off() -> None:
        while not stop.wait(0.05):
            for sent in (request[: len(request) // 2], request[:30], b"\x16\x03\x01 is not HTTP\r\n\r\n", b""):
                with server.connect() as connection:
                    connection.sendall(sent)

    breaking = threading.Thread(target=break_off)
    breaking.start()
    try:
        yield
    finally:
        stop.set()
        breaking.join()


def soak(server: Server, images: np.ndarray, seconds: float) -> list[Held]:
    """Send the mixture for so long, and return what the workers held in each second of it."""
    mixtures = everyday_requests(images), huge_requests(images)
    with ExitStack() as together:
        everyday = together.enter_context(loaded(server, list(mixtures[0]), connections=4, pause=0.002))
        huge = together.enter_context(loaded(server, list(mixtures[1]), connections=1, pause=0.5))
        together.enter_context(broken_off(server, request_of(images[:8])))
        held, ends = [], time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(1)
            held.append((server.memory_kib(), server.open_files(), server.threads()))
    for mixture, load in zip(mixtures, (everyday, huge), strict=True):
        wanted = list(mixture.values())
        assert [each for each in load.answers if each.status != wanted[each.request]] == []
    print(f"{len(everyday.answers)} requests and {len(huge.answers)} huge ones in {seconds:g} s")
    return held


def thirds(held: list[Held], what: int) -> tuple[list[int], list[int]]:
    """Return one of the figures over the second third of the time, and over the last."""
    third = len(held) // 3
    values = [each[what] for each in held]
    return values[third:-third], values[-third:]


def grown_kib(held: list[Held]) -> float:
    second, last = (statistics.median(third) for third in thirds(held, 0))
    print(f"memory: {second / 1024:.1f} MiB in the second third, {last / 1024:.1f} in the last")
    return last - second


@pytest.mark.parametrize(("store", "seconds"), [("home", SECONDS), ("conv_home", SECONDS / 3)])
def test_minutes_of_everything_leave_memory_files_and_threads_constant(
    store: str, seconds: float, mnist: Mnist, request: pytest.FixtureRequest
) -> None:
    with serving(request.getfixturevalue(store), REQUEST_TIMEOUT_SECONDS="5") as server:
        held = soak(server, mnist.test.images, seconds)
    assert grown_kib(held) <= ALLOWED_KIB
    files, threads = thirds(held, 1), thirds(held, 2)
    print(f"open files {[min(third) for third in files]} and more for a moment, threads {[max(third) for third in threads]}")
    assert min(files[1]) <= min(files[0])
    assert max(threads[1]) <= max(threads[0])


def test_a_leak_of_a_kilobyte_in_each_request_is_noticed(home: Path, tmp_path: Path, mnist: Mnist) -> None:
    (tmp_path / "leaking.py").write_text(LEAKING_SERVICE)
    with serving(home, "leaking:DigitClassifier", tmp_path, PYTHONPATH=str(ROOT)) as server:
        held = soak(server, mnist.test.images, LEAK_SECONDS)
    assert grown_kib(held) > ALLOWED_KIB
