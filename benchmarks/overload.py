"""What becomes of more than the service can answer: 2, 5 and 10 times its capacity, from clients that do not wait."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvloop

from benchmarks import open_loop, processes
from benchmarks.bench import CLIENT_CORE, Bench, RunningServer, serving
from benchmarks.open_loop import Tally
from benchmarks.report import Options, Report, number, table
from benchmarks.scenarios import JSON, RAW
from benchmarks.servers import OURS

_FACTORS = (2, 5, 10)
_LOADS = ((JSON, 1024), (JSON, 64), (RAW, 64), (JSON, 1))
_CLIENTS = 16
_OK, _BUSY = 200, 429


@dataclass(frozen=True)
class Offered:
    """What came of one load: the clients' tally, and what the server used meanwhile."""

    tally: Tally
    seconds: float
    cpu_seconds: float
    memory_mib: float

    @property
    def answered_per_second(self) -> float:
        return self.tally.count(_OK) / self.seconds

    @property
    def cpu_us_per_answer(self) -> float:
        """Processor time for each request that was answered, what refusing the others took included."""
        return 1e6 * self.cpu_seconds / max(1, self.tally.count(_OK))


def overload(bench: Bench, options: Options) -> Report:
    """Measure the capacity with clients that wait for their answers, then offer multiples of it."""
    seconds, rows, document = options.seconds or 6, [], {}
    with serving(OURS, bench) as running, _on_core(CLIENT_CORE):
        for form, num_images in _LOADS:
            name = f"{num_images:,} {'image' if num_images == 1 else 'images'}, {form.name}"
            request = open_loop.request_of(form.content_type, bench.body(form, num_images), form.accept)
            found = measure(running, running.url(form), request, seconds)
            rows += [_row(f"{name}, × {factor}", each, found[1]) for factor, each in found.items()]
            document[name] = {factor: _figures(each) for factor, each in found.items()}
    return Report(f"### Overload, {seconds} s each\n\n{table(_HEAD, rows)}", document)


def measure(running: RunningServer, url: str, request: bytes, seconds: float) -> dict[int, Offered]:
    """Return what came by the multiple of the capacity; 1 is the capacity: what clients get that wait for their answers."""

    def saturate() -> Tally:
        return uvloop.run(open_loop.saturate(url, request, _CLIENTS, seconds))

    def offer(factor: int) -> Tally:
        return uvloop.run(open_loop.offer(url, request, factor * peak.answered_per_second, seconds))

    saturate()  # fills pools and caches
    peak = _watched(running, saturate)
    return {1: peak} | {factor: _watched(running, lambda factor=factor: offer(factor)) for factor in _FACTORS}


def _watched(running: RunningServer, load: Callable[[], Tally]) -> Offered:
    time.sleep(2)  # what the load before left behind is given back
    started, used, memory = time.perf_counter(), processes.cpu_seconds(running.root), running.memory_mib()
    tally = load()
    used, seconds = processes.cpu_seconds(running.root) - used, time.perf_counter() - started
    return Offered(tally, seconds, used, running.memory_mib() - memory)


_HEAD = ("", "due/s", "sent/s", "answered/s", "of the capacity", "CPU, µs", "p50, p99, ms", "429/s", "p50, p99, ms", "+ MiB")


def _row(name: str, offered: Offered, peak: Offered) -> list[str]:
    tally, seconds = offered.tally, offered.seconds
    figures = (tally.due / seconds, (tally.due - tally.unsent) / seconds, offered.answered_per_second)
    return [
        name,
        *map(number, figures),
        f"{offered.answered_per_second / peak.answered_per_second:.0%}",
        number(offered.cpu_us_per_answer),
        _milliseconds(tally, _OK),
        number(tally.count(_BUSY) / seconds),
        _milliseconds(tally, _BUSY),
        number(offered.memory_mib),
    ]


def _milliseconds(tally: Tally, status: int) -> str:
    if not tally.count(status):
        return ""
    return ", ".join(number(1000 * tally.percentile(status, percent)) for percent in (50, 99))


def _figures(offered: Offered) -> dict[str, Any]:
    tally = offered.tally
    percentiles = {status: [tally.percentile(status, percent) for percent in (50, 99)] for status in tally.seconds}
    return {
        "seconds": offered.seconds,
        "due": tally.due,
        "unsent": tally.unsent,
        "by_status": {status: tally.count(status) for status in tally.seconds},
        "p50_p99_seconds": percentiles,
        "cpu_us_per_answer": offered.cpu_us_per_answer,
        "memory_growth_mib": offered.memory_mib,
    }


@contextlib.contextmanager
def _on_core(core: int) -> Iterator[None]:
    """Let this process, which is all clients, run on one core, apart from the server's."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
