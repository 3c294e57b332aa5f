"""Ctrl-C, SIGTERM and a closed terminal interrupt the run with KeyboardInterrupt, until it is about to publish."""

# Little is imported here, since until it is, Ctrl-C ends the run with a traceback.
import math
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# A second Ctrl-C soon after the first would interrupt the cleaning up. A later one counts again, since a library may have
# caught what the first one raised.
_SECONDS_OF_ONE_REQUEST = 5.0

# Python reports and drops an exception that is raised in a destructor or a weak reference's callback, of which an import has
# thousands; so it is raised again a little later.
_SECONDS_TO_LEAVE_A_DESTRUCTOR = 0.02


class _Requests:
    last_at = -math.inf
    deferred = False


def listen() -> None:
    """From now on, let a signal raise KeyboardInterrupt."""
    _Requests.last_at, _Requests.deferred = -math.inf, False
    _handle(_on_signal)
    signal.signal(signal.SIGALRM, _raise_again)
    sys.unraisablehook = _on_dropped_exception


def defer() -> None:
    """From now on, let no signal interrupt the run; raise KeyboardInterrupt if that of an earlier one was lost."""
    _Requests.deferred = True
    if _Requests.last_at > -math.inf:
        raise KeyboardInterrupt


def ignore() -> None:
    """From now on, ignore signals. As Python shuts down it would restore what the system does: end the process."""
    _handle(signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)


def _on_signal(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if not _Requests.deferred and now - _Requests.last_at > _SECONDS_OF_ONE_REQUEST:
        _Requests.last_at = now
        raise KeyboardInterrupt


def _on_dropped_exception(unraisable: "sys.UnraisableHookArgs") -> None:
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _SECONDS_TO_LEAVE_A_DESTRUCTOR)
    else:
        sys.__unraisablehook__(unraisable)


def _raise_again(number: int, frame: FrameType | None) -> None:
    if not _Requests.deferred:
        raise KeyboardInterrupt


def _handle(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # set by nohup, or by a shell for the background
            signal.signal(number, handler)
