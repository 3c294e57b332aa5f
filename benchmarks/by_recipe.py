"""What the recipes cost: one image as JSON over sixteen connections, the memory of the worker, and the engine alone."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import processes
from benchmarks.bench import Bench, prepared, serving
from benchmarks.report import Options, Report, number, say, table
from benchmarks.scenarios import JSON, Images, Scenario
from benchmarks.servers import OURS
from benchmarks.stores import copy_alone, newest_by_recipe
from models.exported import load_litert

_LOAD = Scenario(JSON, 1, 16)
_ENGINE_SECONDS = 0.5


@dataclass(frozen=True)
class RecipeFigures:
    """What one round showed of one recipe; the engine's figures are CPU microseconds for each image, without novelty."""

    requests_per_second: float
    cpu_us_per_request: float
    p50_ms: float
    p99_ms: float
    worker_mib: float
    engine_us_of_1: float
    engine_us_of_1024: float


def recipes(bench: Bench, options: Options) -> Report:
    """Measure the newest version of each recipe in the store, once a round."""
    versions, rounds = newest_by_recipe(bench.home), []
    for number_of_round in range(1, options.rounds + 1):
        for recipe, version in versions.items():
            say(f"round {number_of_round} of {options.rounds}: {recipe}")
            home = bench.scratch / f"{recipe} {number_of_round}"
            copy_alone(version, home)
            rounds.append((recipe, _figures(home, version, options)))
    document = {recipe: _medians([figures for name, figures in rounds if name == recipe]) for recipe in versions}
    rows = [[recipe, *map(number, medians.values())] for recipe, medians in document.items()]
    head = ("", "requests/s", "CPU, µs/request", "p50, ms", "p99, ms", "worker (RSS), MiB")
    engine = tuple(f"engine, CPU µs/image at {size}" for size in ("1", "1,024"))
    return Report(f"### Recipes: {_LOAD}\n\n{table((*head, *engine), rows)}", document)


def _figures(home: Path, version: Path, options: Options) -> RecipeFigures:
    with prepared(home) as bench:
        with serving(OURS, bench) as running:
            running.drive(_LOAD, 1)  # fills pools and caches
            measured = running.measure(_LOAD, options.seconds or 4)
            # The other processes, BentoML's supervisor and its helpers, hold less.
            worker_mib = max(each.memory_info().rss for each in processes.tree(running.root)) / 2**20
        load, images = measured.load, bench.images
        return RecipeFigures(
            load.requests_per_second,
            measured.cpu_us_per_request,
            load.p50_ms,
            load.p99_ms,
            worker_mib,
            _engine_us(version, images[:1]),
            _engine_us(version, images[:1024]),
        )


def _engine_us(version: Path, images: Images) -> float:
    run, pixels = load_litert(version), images.astype(np.float32)
    run(pixels, False)  # allocates
    started, calls = time.thread_time(), 0
    while (taken := time.thread_time() - started) < _ENGINE_SECONDS:
        run(pixels, False)
        calls += 1
    return taken / calls / len(images) * 1e6


def _medians(rounds: list[RecipeFigures]) -> dict[str, float]:
    return {name: median(asdict(each)[name] for each in rounds) for name in asdict(rounds[0])}
