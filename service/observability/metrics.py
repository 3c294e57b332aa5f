"""Every metric of the service, and their exposition over all workers.

Label values come from closed sets, so that no stranger can make the series grow.
"""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from models.digits import NUM_CLASSES

# prometheus_client asks the system for the process id at each count, in case that the process was forked. Workers are
# not, and the question costs as much as the count: 15 of 160 µs for a request of one image.
if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    values.ValueClass = values.MultiProcessValue(process_identifier=cache(os.getpid))

EXPOSITION_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_IMAGES = tuple(float(2**power) for power in range(11))
_TENTHS = 10

STAGES = ("parse", "queue", "compute", "serialise")

REQUESTS = Counter("digit_classifier_requests", "Requests answered.", ("route", "status"))
DURATION = Histogram(
    "digit_classifier_request_duration_seconds", "From a request's head to its answer.", ("route",), buckets=_SECONDS
)
REJECTED = Counter("digit_classifier_rejected", "Requests refused, by reason.", ("reason",))
# Sums, as Triton has them: a histogram for each stage would double what counting costs.
STAGE_SECONDS = Counter(
    "digit_classifier_stage_seconds", "Seconds that answered requests spent in each stage, added up.", ("stage",)
)
IMAGES = Counter("digit_classifier_images", "Images answered.")
BATCH_SIZE = Histogram("digit_classifier_batch_size_images", "Images in one call of the engine.", buckets=_IMAGES)
ANSWERS = Counter("digit_classifier_predictions", "Images answered, by the digit answered.", ("digit",))
CONFIDENCE = Counter(
    "digit_classifier_answers_by_confidence",
    "Images answered, by the tenth of confidence: tenth 0.9 is 0.9 and above.",
    ("tenth",),
)
MODEL_INFO = Gauge(
    "digit_classifier_model_info",
    "1 for the version that is served, and what computes it.",
    ("version", "recipe", "runtime", "device"),
    multiprocess_mode="livemax",
)
MODEL_LOAD_FAILURES = Counter(
    "digit_classifier_model_load_failures",
    "Versions in the store that could not be served.",
    ("reason",),
)

_STAGES = [STAGE_SECONDS.labels(stage) for stage in STAGES]
_ANSWERS = [ANSWERS.labels(str(digit)) for digit in range(NUM_CLASSES)]
_CONFIDENCE = [CONFIDENCE.labels(f"{tenth / _TENTHS:.1f}") for tenth in range(_TENTHS)]


# Looking a child up by its labels costs more than counting.
_requests = cache(REQUESTS.labels)
_duration = cache(DURATION.labels)


def count_request(route: str, status: int, seconds: float) -> None:
    """Count one request to `route`, a value from the closed set of routes."""
    _requests(route, status).inc()
    _duration(route).observe(seconds)


def count_stages(seconds: Iterable[float]) -> None:
    """Count what one request spent in each of `STAGES`."""
    for stage, spent in zip(_STAGES, seconds, strict=True):
        stage.inc(spent)


def count_answers(digits: NDArray[np.intp], confidence: NDArray[np.float32]) -> None:
    """Count answered images; both arrays have the shape (N,). An `observe` for each image would cost 2 µs."""
    IMAGES.inc(len(digits))
    _add(_ANSWERS, digits)
    _add(_CONFIDENCE, np.minimum((confidence * _TENTHS).astype(np.intp), _TENTHS - 1))


def _add(counters: list[Counter], indices: NDArray[np.intp]) -> None:
    counts = np.bincount(indices)
    for index in np.flatnonzero(counts):
        counters[index].inc(int(counts[index]))


_served: list[Gauge] = []


def tell_served(version: str, recipe: str, runtime: str, device: str) -> None:
    """Let `model_info` name this version, and no longer the one before."""
    info = MODEL_INFO.labels(version, recipe, runtime, device)
    for before in _served:
        before.set(0)  # a series that workers share cannot be removed; the exposition leaves out what is 0
    info.set(1)
    _served[:] = [info]


def name_load_failures(reasons: Iterable[str]) -> None:
    """Show the counters of refused versions before the first is refused, so that a rate sees it."""
    for reason in reasons:
        MODEL_LOAD_FAILURES.labels(reason)


def count_load_failure(reason: str) -> None:
    """Count one version that was refused."""
    MODEL_LOAD_FAILURES.labels(reason).inc()


def exposition() -> bytes:
    """Return the metrics of all workers in Prometheus's text form."""
    registry = CollectorRegistry()
    registry.register(_Served(_all_workers() if "PROMETHEUS_MULTIPROC_DIR" in os.environ else REGISTRY))
    return generate_latest(registry)


def _all_workers() -> Collector:
    _forget_dead_workers(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    return MultiProcessCollector(None)


def _forget_dead_workers(folder: Path) -> None:
    """Drop what dead workers said of the present; what they counted stays."""
    for path in folder.glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)


class _Served(Collector):
    """What `source` says, without the versions that are served no longer."""

    def __init__(self, source: Collector) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        for metric in self._source.collect():
            if metric.name == "digit_classifier_model_info":
                metric.samples = [sample for sample in metric.samples if sample.value]
            yield metric
