"""How the worker's process treats memory, so that requests meet neither a long collection nor fresh pages."""

import asyncio
import ctypes
import gc
from collections.abc import MutableMapping

# glibc's <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

# Room for what the largest request of pixels takes: its body, what parsing makes of it, and two arrays.
_KEPT_BYTES = 64 * 2**20


def freeze_start_up_heap() -> None:
    """Take all that start-up has made out of garbage collection: it stays, and walking it stalls requests for 50 ms."""
    gc.collect()
    gc.freeze()


def limit_arenas(environment: MutableMapping[str, str]) -> None:
    """Let glibc have one arena in processes that start with `environment`: of another one, up to 64 MiB are never given back.

    `mallopt` comes too late for that, since threads have their arenas by then.
    """
    environment.setdefault("MALLOC_ARENA_MAX", "1")


def keep_freed_memory() -> None:
    """Let glibc keep up to 64 MiB that was freed for the next large request; elsewhere do nothing.

    By default it gives large blocks back at once, and getting them anew, page by page, takes longer than parsing into
    them: 1,024 images as JSON took 22 ms instead of 7.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Give what glibc keeps back to the system."""
    if malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        malloc_trim(0)


class IdleTrimmer:
    """Gives freed memory back once no large request has come for a second."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def put_off(self) -> None:
        """Start the second anew. To be called from a running event loop."""
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(1, self._give_back)

    def _give_back(self) -> None:
        gc.collect()  # an error that came from a thread holds its request's body in a cycle
        give_back_freed_memory()
