"""Ctrl-C, SIGTERM and a closed terminal: one request to end the run, held back while something must happen whole."""

# Little is imported here, since until it is, Ctrl-C ends the run with a traceback.
import math
import signal
import time
from collections.abc import Callable
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# An impatient second Ctrl-C is the same request. Only where the first was lost (Python drops what is raised in a
# destructor) does a later one count anew.
_SECONDS_OF_ONE_REQUEST = 5.0


class _Request:
    came_at = -math.inf
    held_back = False


_request = _Request()


def listen() -> None:
    """From now on, let a signal raise KeyboardInterrupt, once."""
    _request.came_at, _request.held_back = -math.inf, False
    _handle(_on_signal)


def hold_back() -> None:
    """From now on, only note that signals come: the little that is left of the run must happen whole."""
    _request.held_back = True


def has_come() -> bool:
    """Say whether the run was asked to end, be it that the request was held back or lost."""
    return _request.came_at > -math.inf


def ignore() -> None:
    """From now on, ignore signals, which Python would hand back to the system as it shuts down."""
    _handle(signal.SIG_IGN)


def _on_signal(number: int, frame: FrameType | None) -> None:
    before, now = _request.came_at, time.monotonic()
    if now - before < _SECONDS_OF_ONE_REQUEST:
        return
    _request.came_at = now
    if not _request.held_back:
        raise KeyboardInterrupt


def _handle(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and a shell's background want it
            signal.signal(number, handler)
