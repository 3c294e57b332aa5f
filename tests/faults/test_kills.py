"""Workers that are killed under load: clients that send again are answered in the end, and rightly."""

import os
import signal
import time
from pathlib import Path

import pytest

from models.digits import MODEL_NAME
from tests.support.load import Answer, answer_of, loaded, request_of
from tests.support.serving import Server, serving
from tests.support.waiting import starts, until
from training.data import Mnist

pytestmark = pytest.mark.slow

RETRY_SECONDS = 20


def kill_one(server: Server) -> None:
    """Kill a worker and wait until another is up in its place."""
    time.sleep(0.5)
    before = starts(server)
    os.kill(server.workers()[0], signal.SIGKILL)
    until(lambda: starts(server) > before)


@pytest.mark.parametrize(("workers", "kills"), [(2, 5), (1, 1)])
def test_a_client_that_retries_outlives_kills_of_workers(home: Path, mnist: Mnist, workers: int, kills: int) -> None:
    (version,) = (path for path in (home / "models" / MODEL_NAME).iterdir() if path.is_dir())
    images = [mnist.test.images[start : start + size] for start, size in enumerate((1, 1, 7, 300))]
    truth = [answer_of(version, each) for each in images]
    requests = [request_of(each) for each in images]
    with serving(home, WORKERS=str(workers)) as server:
        until(lambda: starts(server) == workers)
        with loaded(server, requests, pause=0.005, retry_seconds=RETRY_SECONDS) as load:
            for _ in range(kills):
                kill_one(server)
    assert load.statuses() == {200: len(load.answers)}
    assert all(each.body == truth[each.request] for each in load.answers)
    report(load.answers, workers, kills)


def report(answers: list[Answer], workers: int, kills: int) -> None:
    slowest, lost = max(each.seconds for each in answers), sum(each.tries > 1 for each in answers)
    print(f"{workers} workers, {kills} killed: {len(answers)} requests, all answered, the slowest after {slowest:.1f} s")
    print(f"without retrying, {lost / kills:.1f} would have been lost in each kill, {lost / len(answers):.2%} of all")
