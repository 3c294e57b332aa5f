"""What a worker takes of the machine and how late its event loop is, told to its metrics ten times a second."""

import asyncio
import time
from collections import deque

from service.observability import metrics
from service.observability.machine import resident_bytes, start_time

_INTERVAL_SECONDS = 0.1
_KEPT_SECONDS = 15


async def sample() -> None:
    """Tell the metrics, for ever."""
    metrics.WORKER_START_TIME.set(start_time())
    lags = deque([0.0], maxlen=round(_KEPT_SECONDS / _INTERVAL_SECONDS))
    used = 0.0
    while True:
        used_before, used = used, time.process_time()
        metrics.WORKER_CPU_SECONDS.add(amount=used - used_before)
        metrics.WORKER_MEMORY_BYTES.set(resident_bytes())
        due = time.perf_counter() + _INTERVAL_SECONDS
        await asyncio.sleep(_INTERVAL_SECONDS)
        lags.append(max(0.0, time.perf_counter() - due))
        metrics.EVENT_LOOP_LAG.set(max(lags))
