"""What this service alone is asked: its tail, its memory over time, fairness beside heavy requests, a second worker."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import psutil

from benchmarks import processes, wrk
from benchmarks.bench import CLIENT_CORE, SERVER_CORE, Bench, RunningServer, serving
from benchmarks.report import Options, Report, number, say, table
from benchmarks.scenarios import JSON, Scenario
from benchmarks.servers import OURS

_ONE_IMAGE = Scenario(JSON, 1, 1)
_ONE_IMAGE_BUSY = Scenario(JSON, 1, 16)
_HEAVY = Scenario(JSON, 1024, 1)
# Each costs the server ten times and more what it costs wrk, and sixteen connections spread over two workers.
_WORKERS_LOAD = Scenario(JSON, 64, 16)
_BOTH_CORES = frozenset({CLIENT_CORE, SERVER_CORE})
_MEMORY_EVERY_SECONDS = 10


def _require_answers(running: RunningServer, *scenarios: Scenario) -> None:
    for scenario in scenarios:
        if not running.offers(scenario):
            raise RuntimeError(f"{running.server.name} does not offer {scenario}.")


@dataclass(frozen=True)
class _Watched:
    """A load, and the server's memory along it: (seconds since its start, MiB)."""

    load: wrk.Load
    memory: list[tuple[float, float]]


def _watch(running: RunningServer, scenario: Scenario, seconds: int, every_seconds: float) -> _Watched:
    body, url = running.bench.body(scenario.form, scenario.num_images), running.url(scenario.form)
    started = time.perf_counter()

    def reading() -> tuple[float, float]:
        return round(time.perf_counter() - started, 1), running.memory_mib()

    with wrk.running(url, scenario.form, body, scenario.connections, seconds, CLIENT_CORE) as process:
        memory = [reading() for _ in _ticks(process, every_seconds)]
        load = wrk.load_of(process)
    return _Watched(load, [*memory, reading()])


def _ticks(process: subprocess.Popen, every_seconds: float) -> Iterator[None]:
    """Yield every so often until `process` has ended; its output, one line, waits in the pipe."""
    while True:
        yield
        try:
            process.wait(every_seconds)
        except subprocess.TimeoutExpired:
            continue
        return


def tail(bench: Bench, options: Options) -> Report:
    """Drive one-image JSON at 16 connections for a minute: p99 against p50, memory before and after."""
    seconds = options.seconds or 60
    with serving(OURS, bench) as running:
        _require_answers(running, _ONE_IMAGE_BUSY)
        # The first second fills pools and caches, which is no growth.
        running.drive(_ONE_IMAGE_BUSY, 1)
        watched = _watch(running, _ONE_IMAGE_BUSY, seconds, every_seconds=seconds + 1)
    return _report_of_memory(f"Tail: {_ONE_IMAGE_BUSY}, {seconds} s", watched)


def soak(bench: Bench, options: Options) -> Report:
    """Drive one-image JSON at 16 connections for ten minutes and read the memory every ten seconds."""
    seconds = options.seconds or 600
    with serving(OURS, bench) as running:
        _require_answers(running, _ONE_IMAGE_BUSY)
        watched = _watch(running, _ONE_IMAGE_BUSY, seconds, _MEMORY_EVERY_SECONDS)
    return _report_of_memory(f"Soak: {_ONE_IMAGE_BUSY}, {seconds} s", watched)


def _report_of_memory(title: str, watched: _Watched) -> Report:
    load, memory = watched.load, watched.memory
    highest = max(mib for _, mib in memory)
    head = ("requests/s", "p50, ms", "p99, ms", "p99 ÷ p50", "longest, ms", "MiB at start", "MiB at end", "highest MiB")
    figures = (load.requests_per_second, load.p50_ms, load.p99_ms, load.p99_ms / load.p50_ms, load.max_ms)
    row = [number(each) for each in (*figures, memory[0][1], memory[-1][1], highest)]
    document = {**vars(load), "requests_per_second": load.requests_per_second, "memory_mib": memory}
    return Report(f"### {title}\n\n{table(head, [row])}", document)


def mixed(bench: Bench, options: Options) -> Report:
    """Drive one image over one connection, alone and then while another sends 1,024 images back to back."""
    seconds = options.seconds or 20
    with serving(OURS, bench) as running:
        _require_answers(running, _ONE_IMAGE, _HEAVY)
        alone = running.drive(_ONE_IMAGE, seconds)
        heavy_body = bench.body(_HEAVY.form, _HEAVY.num_images)
        # Two seconds longer, so that it is there from the first to the last request that counts.
        with wrk.running(running.url(_HEAVY.form), _HEAVY.form, heavy_body, 1, seconds + 2, CLIENT_CORE) as process:
            time.sleep(1)
            beside = running.drive(_ONE_IMAGE, seconds)
            heavy = wrk.load_of(process)
    loads = {"1 image, alone": alone, "1 image, beside 1,024 images": beside, "1,024 images, beside 1 image": heavy}
    rows = [
        [name, number(load.requests_per_second), number(load.p50_ms), number(load.p99_ms), number(load.max_ms)]
        for name, load in loads.items()
    ]
    head = ("JSON, one connection each", "requests/s", "p50, ms", "p99, ms", "longest, ms")
    return Report(f"### Mixed, {seconds} s\n\n{table(head, rows)}", {name: vars(load) for name, load in loads.items()})


@dataclass(frozen=True)
class _Capacity:
    """What some workers got done while the client shared their cores or had one of its own."""

    requests_per_second: float
    server_cores: float
    client_cores: float
    busiest_share: float


def workers(bench: Bench, options: Options) -> Report:
    """Compare two workers on both cores, which the client shares, with one on one core beside the client's own."""
    seconds, one, two = options.seconds or 10, [], []
    for number_of_round in range(options.rounds):
        say(f"round {number_of_round + 1} of {options.rounds}")
        one.append(_capacity(bench, 1, frozenset({SERVER_CORE}), CLIENT_CORE, seconds))
        two.append(_capacity(bench, 2, _BOTH_CORES, None, seconds))
    settings = {"1 worker on 1 core, client on the other": one, "2 workers on 2 cores, client on the same": two}
    base = median(each.requests_per_second for each in one)
    rows, document = [], {}
    for name, rounds in settings.items():
        medians = {key: median(vars(each)[key] for each in rounds) for key in vars(rounds[0])}
        rows.append([name, *map(number, medians.values()), f"{medians['requests_per_second'] / base:.2f}"])
        document[name] = medians
    head = ("", "requests/s", "cores used by the server", "cores used by wrk", "busiest worker's share", "× one worker")
    return Report(f"### Workers: {_WORKERS_LOAD}\n\n{table(head, rows)}", document)


def _capacity(bench: Bench, num_workers: int, cores: frozenset[int], client_core: int | None, seconds: int) -> _Capacity:
    with serving(OURS, bench, cores, WORKERS=str(num_workers)) as running:
        _require_answers(running, _WORKERS_LOAD)
        running.drive(_WORKERS_LOAD, 1, client_core)
        own, client = _cpu_by_process(running.root), _client_seconds()
        measured = running.measure(_WORKERS_LOAD, seconds, client_core)
        used = sorted(spent - own.get(pid, 0) for pid, spent in _cpu_by_process(running.root).items())
        client_seconds = _client_seconds() - client
    took = measured.load.seconds
    return _Capacity(
        measured.load.requests_per_second,
        measured.server_cpu_seconds / took,
        client_seconds / took,
        used[-1] / sum(used),
    )


def _cpu_by_process(root: psutil.Process) -> dict[int, float]:
    times = {member.pid: member.cpu_times() for member in processes.tree(root)}
    return {pid: each.user + each.system for pid, each in times.items()}


def _client_seconds() -> float:
    """Return the seconds of the children that have ended: wrk is one, a server that still runs is not."""
    times = psutil.Process().cpu_times()
    return times.children_user + times.children_system


def start(bench: Bench, options: Options) -> Report:
    """Start the service once a round and ask until the first answer is right."""
    seconds = []
    for _ in range(options.rounds):
        with serving(OURS, bench) as running:
            seconds.append(running.start_seconds)
    row = [f"{each:.2f}" for each in (median(seconds), min(seconds), max(seconds))]
    head = ("median, s", "fastest, s", "slowest, s")
    return Report(f"### Start to first correct answer, {options.rounds} times\n\n{table(head, [row])}", {"seconds": seconds})


def memory(bench: Bench, options: Options) -> Report:
    """Drive every scenario, then read the memory of each process."""
    with serving(OURS, bench) as running:
        for scenario in options.scenarios:
            if running.offers(scenario):
                running.drive(scenario, options.seconds or 4)
        found = [(" ".join(each.cmdline()[:6]), processes.memory_mib_of(each)) for each in processes.tree(running.root)]
    rows = [*((name, number(mib)) for name, mib in found), ("all", number(sum(mib for _, mib in found)))]
    return Report(f"### Memory after load\n\n{table(('process', 'PSS, MiB'), rows)}", {"memory_mib": found})
