"""How fast what waits leaves, and so after how many seconds a request for which there is no room may be sent again."""

import math
import time

_MAX_RETRY_SECONDS = 30

# Measured from a refusal on, because before that it might be arrivals that are slow; after so long, from the next one on.
# Only of the first refusals nothing better is known than what has left since it began to fill.
_WINDOW_SECONDS = 4.0
# Less time says nothing about the rate; that nothing has left says something only after the longer one.
_LEAST_SECONDS, _IDLE_SECONDS = 0.1, 2.0


class Throughput:
    """How much leaves in a second while all room is taken; remembered for the next time.

    What leaves is added to `left`, which costs a request less than a call.
    """

    def __init__(self) -> None:
        self.left = 0.0
        self._left_before = 0.0
        self._begun = -math.inf
        self._per_second = math.inf  # not known

    def begin(self) -> None:
        """Say that something begins to wait, where nothing did."""
        if self._per_second == math.inf:
            self._begun, self._left_before = time.perf_counter(), self.left

    def retry_seconds(self, waiting: float) -> int:
        """Return in how many seconds the `waiting` will have left: 1 to 30, and 1 where nothing was measured yet."""
        now = time.perf_counter()
        elapsed, left = now - self._begun, self.left - self._left_before
        if elapsed > _WINDOW_SECONDS:
            if left and not self._per_second:  # what had stopped goes on
                self._per_second = math.inf
            self._begun, self._left_before = now, self.left
        elif elapsed > (_LEAST_SECONDS if left else _IDLE_SECONDS):
            self._per_second = left / elapsed
        if not waiting:
            return 1
        return whole_seconds(waiting / self._per_second if self._per_second else math.inf)


def whole_seconds(seconds: float) -> int:
    """Return `seconds` as they are told to clients: rounded up, from 1 to 30."""
    return math.ceil(min(max(seconds, 1), _MAX_RETRY_SECONDS))
