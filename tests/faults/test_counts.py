"""What `/metrics` says equals what clients saw: to the last request, and after a kill to those in flight."""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from models.digits import MODEL_NAME, NUM_CLASSES
from service.protocols.media_types import BYTES
from tests.support.load import Answer, loaded, request_of
from tests.support.metrics import Series, counted, scrape, value
from tests.support.raw_http import post
from tests.support.serving import Server, serving
from tests.support.store import copy_version, make_latest
from tests.support.waiting import starts, switches_to, until
from training.data import Mnist

CLIENTS = 8
LEAVERS = 50
SIZES = (1, 7, 64, 300)
STATUSES = ("200", "400", "413", "415", "499")


def requests_of(images: np.ndarray) -> list[bytes]:
    """Return four good requests, and one of each that is refused."""
    good = [request_of(images[start : start + size]) for start, size in zip((0, 1, 8, 72), SIZES, strict=True)]
    return [*good, post(bytes(785), BYTES), post(bytes(1025 * 784), BYTES), post(b"a seven", "text/plain")]


def leave(server: Server, request: bytes) -> None:
    for _ in range(LEAVERS):
        with server.connect(10) as connection:
            connection.sendall(request[:-1])


def statuses(series: Series) -> Counter[str]:
    return Counter({each: int(value(series, "requests_total", route="/predict", status=each)) for each in STATUSES})


def answers(series: Series) -> list[int]:
    return [int(value(series, "predictions_total", digit=str(digit))) for digit in range(NUM_CLASSES)]


def digits_in(answered: list[Answer]) -> list[int]:
    """Return how often each digit was answered."""
    probabilities = np.frombuffer(b"".join(each.body for each in answered if each.status == 200), "<f4")
    return np.bincount(probabilities.reshape(-1, NUM_CLASSES).argmax(axis=1), minlength=NUM_CLASSES).tolist()


@pytest.mark.slow
def test_metrics_equal_the_clients_own_tally_and_after_a_kill_all_but_what_was_in_flight(home: Path, mnist: Mnist) -> None:
    versions = home / "models" / MODEL_NAME
    requests = requests_of(mnist.test.images)
    copy_version(versions, (versions / "latest").read_text(), "next")
    with serving(home, WORKERS="2", MODEL_POLL_SECONDS="0.2") as server:
        until(lambda: starts(server) == 2)
        with loaded(server, requests, CLIENTS, pause=0.001) as load:
            leave(server, requests[0])
            make_latest(versions, "next")
            until(lambda: switches_to(server, "next") == 2)
            time.sleep(0.5)
        until(lambda: counted(server, "499") == LEAVERS)
        before = scrape(server)
        with loaded(server, requests, CLIENTS, pause=0.001) as interrupted:
            time.sleep(1)
            os.kill(server.workers()[0], signal.SIGKILL)
            time.sleep(1)
        after = scrape(server)

    assert len({each.version for each in load.answers if each.status == 200}) == 2
    assert statuses(before) == Counter(str(each.status) for each in load.answers) + Counter({"499": LEAVERS})
    assert answers(before) == digits_in(load.answers)
    assert value(before, "images_total") == sum(answers(before))
    print(f"{len(load.answers)} answers by two workers, across a reload, and {LEAVERS} that left: the metrics say the same")

    heard = Counter(str(each.status) for each in interrupted.answers if each.status)
    uncertain = sum((statuses(after) - statuses(before)).values()) - heard.total()
    unheard = sum(answers(after)) - sum(answers(before)) - sum(digits_in(interrupted.answers))
    lost = sum(each.status == 0 for each in interrupted.answers)
    print(f"a kill lost {lost} of {len(interrupted.answers)} answers; counted of those: {uncertain} with {unheard} images")
    assert 0 <= uncertain <= lost <= CLIENTS
    assert 0 <= unheard <= lost * max(SIZES)
