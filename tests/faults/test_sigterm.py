"""SIGTERM under load: what was accepted is answered, and the process ends in time."""

import shutil
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from models.digits import MODEL_NAME
from tests.support.load import Answer, answer_of, loaded, request_of
from tests.support.serving import Server, serving
from tests.support.waiting import until
from training.data import Mnist

pytestmark = pytest.mark.slow

GRACE_SECONDS = 10
# (WORKERS, DRAIN_SECONDS) of each of the twenty
ENDS = [(1, 0)] * 10 + [(2, 0)] * 5 + [(1, 1)] * 3 + [(2, 1)] * 2


def stop_under_load(server: Server, requests: list[bytes], drain_seconds: int) -> tuple[list[Answer], float]:
    """Return what became of the requests, and when SIGTERM was sent."""
    with loaded(server, requests) as load, server.connect(GRACE_SECONDS) as idle:
        time.sleep(0.5)
        told = time.monotonic()
        server.process.terminate()
        if drain_seconds:
            until(lambda: httpx.get(f"{server.url}/readyz").status_code == 503)
        assert server.process.wait(GRACE_SECONDS) == 0
        ended = time.monotonic() - told
        assert idle.recv(1) == b""  # closed, and not reset
        time.sleep(0.2)
    print(f"{drain_seconds} s of drain: ended {ended:.1f} s after SIGTERM")
    return load.answers, told


def test_twenty_ends_under_load_lose_no_request_that_was_accepted(published_home: Path, tmp_path: Path, mnist: Mnist) -> None:
    images = [mnist.test.images[start : start + size] for start, size in enumerate((1, 1, 7, 300))]
    versions = published_home / "models" / MODEL_NAME
    truth = [answer_of(versions / (versions / "latest").read_text(), each) for each in images]
    requests = [request_of(each) for each in images]

    def end(number: int) -> tuple[int, Counter[str]]:
        workers, drain_seconds = ENDS[number]
        home = tmp_path / str(number)
        shutil.copytree(published_home / "models", home / "models")
        with serving(home, WORKERS=str(workers), DRAIN_SECONDS=str(drain_seconds)) as server:
            answers, told = stop_under_load(server, requests, drain_seconds)
        # Accepted is what the system had taken whole before SIGTERM was sent, or before the drain was over.
        accepted = [each for each in answers if each.sent and each.sent < told + drain_seconds]
        assert {each.status for each in accepted} == {200}
        assert all(each.body == truth[each.request] for each in answers if each.status)
        later = set(answers) - set(accepted)
        return len(accepted), Counter(each.lost or str(each.status) for each in later)

    with ThreadPoolExecutor(2) as two_at_a_time:
        counts, laters = zip(*two_at_a_time.map(end, range(len(ENDS))), strict=True)
    print(f"{sum(counts)} requests accepted in {len(ENDS)} ends, all answered; of those sent later: {sum(laters, Counter())}")
