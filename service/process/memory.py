"""How a worker treats memory, so that requests wait neither for a long garbage collection nor for new pages."""

import asyncio
import ctypes
import gc
from collections.abc import MutableMapping

# glibc's <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

# Enough for the largest request of pixels: its body, what is parsed from it, and two arrays.
_KEPT_BYTES = 64 * 2**20


def freeze_start_up_heap() -> None:
    """Exclude all objects made so far from garbage collection: they stay, and visiting them stalls requests for 50 ms."""
    gc.collect()
    gc.freeze()


def limit_arenas(environment: MutableMapping[str, str]) -> None:
    """Let glibc have one arena in processes started with `environment`: of each other one, up to 64 MiB are never given back.

    `mallopt` comes too late for that, since threads have their arenas by then.
    """
    environment.setdefault("MALLOC_ARENA_MAX", "1")


def keep_freed_memory() -> None:
    """Let glibc keep up to 64 MiB of freed memory for the next large request; do nothing with other C libraries.

    By default it gives large blocks back at once, and getting them again, page by page, takes longer than parsing into
    them: 1,024 images as JSON took 22 ms instead of 7.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Give the freed memory that glibc keeps back to the system."""
    if malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        malloc_trim(0)


class IdleTrimmer:
    """Gives freed memory back a second after the last large request."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def put_off(self) -> None:
        """Start the second again. To be called from a running event loop."""
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(1, self._give_back)

    def _give_back(self) -> None:
        gc.collect()  # an error that came from a thread holds its request's body in a cycle
        give_back_freed_memory()
