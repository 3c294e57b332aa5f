"""Waiting for what takes its time: a condition, workers that start, versions that they switch to."""

import time
from collections.abc import Callable

from models.digits import MODEL_NAME
from tests.support.serving import Server


def until(condition: Callable[[], object], seconds: float = 30, what: str = "the condition of the test") -> float:
    """Wait for `condition` to be true, and return how many seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"after {seconds:g} s still not: {what}"
        time.sleep(0.1)
    return time.monotonic() - began


def starts(server: Server) -> int:
    """Return how many workers have come up so far."""
    return server.log.read_text().count(f"serving {MODEL_NAME}:")


def switches_to(server: Server, version: str) -> int:
    """Return how many workers say that they serve `version` instead of another."""
    return server.log.read_text().count(f"serving {MODEL_NAME}:{version} instead of ")
