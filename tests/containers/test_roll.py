"""Upgrades: `make roll` replaces the replicas under load and loses nothing, whatever the new ones are like."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from service.protocols.media_types import BYTES, JSON
from tests.support.load import Load, loaded
from tests.support.project import PIXELS, ROOT, SEVEN
from tests.support.raw_http import post
from tests.support.stack import Stack, answers_seven

# Half of them larger than the proxy's buffer, so that it cannot send them again.
REQUESTS = (post(SEVEN, JSON), post(np.tile(PIXELS.reshape(1, 784), (64, 1)).tobytes(), BYTES))
BAD_SETTING = {"MAX_IMAGES": "0", "ROLL_SECONDS": "8"}


def roll(stack: Stack, **settings: str) -> subprocess.Popen[str]:
    """Start what `make roll` does once the image is built, as a terminal would: in a process group of its own."""
    environment = os.environ | stack.environment | settings
    return subprocess.Popen(
        ["sh", "deploy/roll.sh"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def lost(load: Load) -> Counter[tuple[int, str, bytes]]:
    return Counter((each.status, each.lost, each.body) for each in load.answers if each.status != 200)


@pytest.fixture(scope="module", autouse=True)
def as_before(stack: Stack) -> Iterator[None]:
    yield
    stack.up(1)


@pytest.fixture
def old(stack: Stack) -> list[str]:
    """Return the one replica that runs."""
    if len(stack.containers("service")) != 1:
        stack.up(1)
    return stack.containers("service")


def test_a_roll_whose_new_replica_is_never_ready_leaves_the_old_one_and_says_why(stack: Stack, old: list[str]) -> None:
    with loaded(stack, REQUESTS, connections=16, pause=0.07) as load:
        rolling = roll(stack, **BAD_SETTING)
        said = rolling.communicate(timeout=60)[1]
    assert rolling.returncode == 1
    assert "MAX_IMAGES" in said
    assert "not ready after 8 s" in said
    assert stack.containers("service") == old
    assert not lost(load)


def test_a_roll_that_is_interrupted_leaves_the_old_replica_serving(stack: Stack, old: list[str]) -> None:
    rolling = roll(stack)
    while len(stack.containers("service")) < 2:
        time.sleep(0.2)
    os.killpg(rolling.pid, signal.SIGINT)
    assert "interrupted" in rolling.communicate(timeout=60)[1]
    assert rolling.returncode == 1
    assert stack.containers("service") == old
    assert answers_seven(stack.url)


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_roll_under_200_requests_a_second_loses_none(stack: Stack, replicas: int, figures: dict[str, str]) -> None:
    stack.up(replicas)
    old = stack.containers("service")
    with loaded(stack, REQUESTS, connections=16, pause=0.07) as load:
        began = time.monotonic()
        rolling = roll(stack)
        said = rolling.communicate(timeout=150)[1]
        time.sleep(1)
    figures[f"requests during a roll of {replicas}, s"] = f"{len(load.answers)} in {time.monotonic() - began:.0f}"
    assert rolling.returncode == 0, said
    assert len(stack.containers("service")) == replicas
    assert not set(stack.containers("service")) & set(old)
    assert not lost(load)
