"""A flood of clients that come again when they are told to: all are answered, and what they are told fits what waits."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from service.protocols.media_types import PNG
from tests.support.pictures import drawn, encoded
from tests.support.serving import Server, serving
from training.data import Mnist

CLIENTS = 64
ROOM = 32
# Each takes a core for some tenths of a second.
SIDE = 3000


def ask_until_answered(server: Server, body: bytes, number: int) -> list[int]:
    """Return the seconds for which the client was told to wait, and waited, until it was answered."""
    told = []
    time.sleep(number / CLIENTS)
    while (answer := httpx.post(f"{server.url}/predict", content=body, headers={"content-type": PNG}, timeout=60)).is_error:
        assert answer.status_code == 429, answer.text
        told.append(int(answer.headers["retry-after"]))
        assert re.search(rf"^Overloaded: .*; retry after {told[-1]} s\.$", answer.json()["error"])
        time.sleep(told[-1])
    return told


@pytest.mark.parametrize("full", ["bytes", "decoding"])
def test_clients_that_wait_as_they_are_told_are_answered(reading_home: Path, mnist: Mnist, full: str) -> None:
    picture = Image.fromarray(drawn(mnist.test.images[0].reshape(28, 28), np.random.default_rng(0))).resize((SIDE, SIDE))
    body = encoded(picture)
    with (
        serving(
            reading_home,
            MAX_BODY_BYTES=str(len(body)),
            MAX_PENDING_BODY_BYTES=str((ROOM if full == "bytes" else CLIENTS) * len(body)),
            DECODE_QUEUE_TIMEOUT_SECONDS="60" if full == "bytes" else "0.2",
            REQUEST_TIMEOUT_SECONDS="60",
        ) as server,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):
        started = time.monotonic()
        waits = list(clients.map(lambda number: ask_until_answered(server, body, number), range(CLIENTS)))
        seconds = time.monotonic() - started
    told = [each for client in waits for each in client]
    print(f"{CLIENTS} clients in {seconds:.1f} s, {len(body):,} bytes each; told to wait: {waits}")
    assert max(map(len, waits)) <= 4
    if full == "bytes":
        drained = ROOM * seconds / CLIENTS  # seconds in which as many left as there is room for
        assert drained / 2 < max(told) <= 30
