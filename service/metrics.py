"""Every metric of the service, and their exposition over all workers.

Label values come from closed sets, so that no stranger can make the series grow.
"""

import os
from collections.abc import Iterable
from functools import cache

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
from prometheus_client.multiprocess import MultiProcessCollector

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
ANSWERS = Counter("digit_classifier_answers", "Images answered, by the digit answered.", ("digit",))
CONFIDENCE = Counter(
    "digit_classifier_answers_by_confidence",
    "Images answered, by the tenth of confidence: tenth 0.9 is 0.9 and above.",
    ("tenth",),
)
MODEL_INFO = Gauge(
    "digit_classifier_model_info",
    "1 for the version that is served, and what computes it.",
    ("version", "recipe", "runtime", "device"),
    multiprocess_mode="max",
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


def exposition() -> bytes:
    """Return the metrics of all workers in Prometheus's text form."""
    return generate_latest(_all_workers() if "PROMETHEUS_MULTIPROC_DIR" in os.environ else REGISTRY)


def _all_workers() -> CollectorRegistry:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
