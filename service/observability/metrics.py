"""Every metric of the service, and what counts in it. A new one is one entry of the table.

The values of labels are closed sets, so that no client can make the series grow.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from models.digits import NUM_CLASSES
from models.pointer import versions_folder
from service.errors import CLIENT_LEFT, LOAD_FAILURES, REASONS
from service.observability.machine import free_bytes, oom_kills
from service.observability.series import Counter, Gauge, Histogram, Info, Level, Reading, Table

EXPOSITION_TYPE = CONTENT_TYPE_LATEST
STAGES = ("parse", "queue", "compute", "serialise")
BODY_SIZES = ("small", "large")
AnswerKind = Literal["small", "large", "picture"]

_ROUTES: list[str] = []  # filled by `start`
_STATUSES = (*map(int, HTTPStatus), CLIENT_LEFT)
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_IMAGES = tuple(float(2**power) for power in range(11))
_NOVELTIES = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0)
_CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)

TABLE = Table()
REQUESTS = Counter(TABLE, "requests", "Requests answered.", route=_ROUTES, status=_STATUSES)
DURATION = Histogram(TABLE, "request_duration_seconds", "From a request's headers to its answer.", _SECONDS, route=_ROUTES)
ANSWER_DURATION = Histogram(
    TABLE,
    "answer_duration_seconds",
    "From a complete body to the answer sent, without what clients did wrong and without 429.",
    _SECONDS,
    kind=get_args(AnswerKind),
)
REQUESTS_IN_FLIGHT = Gauge(TABLE, "requests_in_flight", "Requests that are not answered yet.")
REJECTED = Counter(TABLE, "rejected", "Requests answered with an error, by reason.", reason=REASONS)
FAILED_HANDSHAKES = Counter(TABLE, "failed_handshakes", "Connections that ended in the TLS handshake.")
UNREAD_ANSWERS = Counter(TABLE, "unread_answers", "Connections cut off because the client did not read its answer.")
BODY_BYTES_PENDING = Gauge(
    TABLE, "body_bytes_pending", "Bytes of bodies, and of answers to large ones, that count towards the limit.", size=BODY_SIZES
)
BODY_BYTES_LIMIT = Gauge(TABLE, "body_bytes_limit", "Bytes that may be pending, of bodies of each size.")
ANSWER_BYTES_PENDING = Gauge(TABLE, "answer_bytes_pending", "Bytes of answers that clients have not taken yet.")
WORKERS_KILLED = Counter(TABLE, "workers_killed", "Workers that the watchdog has killed because they hung.")
# Sums, as Triton has them: a histogram for each stage would double what counting costs.
STAGE_SECONDS = Counter(TABLE, "stage_seconds", "Seconds that answered requests spent in each stage, added up.", stage=STAGES)
IMAGES_QUEUED = Gauge(TABLE, "images_queued", "Images that wait for the engine.")
IMAGES_QUEUED_LIMIT = Gauge(TABLE, "images_queued_limit", "Images that may wait for the engine.")
BATCH_SIZE = Histogram(TABLE, "batch_size_images", "Images in one call of the engine.", _IMAGES)
IMAGES = Counter(TABLE, "images", "Images answered.")
PREDICTIONS = Counter(TABLE, "predictions", "Images answered, by the digit predicted.", digit=range(NUM_CLASSES))
CONFIDENCE = Histogram(
    TABLE, "prediction_confidence", "Images answered, by the probability of the digit predicted.", _CONFIDENCES
)
NOVELTY = Histogram(TABLE, "prediction_novelty", "Images answered, by the share of digits that look more usual.", _NOVELTIES)
ACCEPTANCE = Counter(
    TABLE, "acceptance", "Images answered, by whether the model stands by the answer.", accepted=("false", "true")
)
EXPECTED_ACCEPTANCE = Level(
    TABLE, "expected_acceptance", "Share of the validation digits that the version served accepts; 0 where it is not known."
)
EXPECTED_REPLICAS = Level(TABLE, "expected_replicas", "Services that there should be, as REPLICAS says; 0 where it does not.")
MODEL_INFO = Info(
    TABLE,
    "model_info",
    "1 for the version that is served, and what computes it.",
    ("version", "recipe", "architecture", "runtime", "device"),
)
MODEL_LOAD_FAILURES = Counter(
    TABLE, "model_load_failures", "Versions in the store that could not be served.", reason=LOAD_FAILURES
)
MODEL_REFUSED = Level(TABLE, "model_refused", "1 while `latest` names a version that this service refuses.")
MODEL_FALLBACK = Level(TABLE, "model_fallback", "1 while an earlier version is served because `latest` could not be.")
MODEL_FALLBACKS = Counter(TABLE, "model_fallbacks", "Starts of a worker with an earlier version than `latest` names.")

WORKERS = Gauge(TABLE, "workers", "Workers that live.")
WORKER_STARTS = Counter(TABLE, "worker_starts", "Workers that were started.")
WORKER_START_TIME = Level(TABLE, "worker_start_time_seconds", "When the newest worker was started, in seconds since 1970.")
WORKER_MEMORY_BYTES = Gauge(TABLE, "worker_memory_bytes", "Resident memory of all workers.")
WORKER_CPU_SECONDS = Counter(TABLE, "worker_cpu_seconds", "Processor time that workers have used.")
EVENT_LOOP_LAG = Level(
    TABLE, "event_loop_lag_seconds", "How late the event loop of a worker was at worst, in about the last 15 seconds."
)
OOM_KILLS = Reading(
    TABLE, "oom_kills", "Processes of this container that were killed for want of memory.", CounterMetricFamily, oom_kills
)
MODEL_STORE_FREE_BYTES = Reading(
    TABLE,
    "model_store_free_bytes",
    "Free bytes of the file system that the model store is on.",
    GaugeMetricFamily,
    lambda: free_bytes(versions_folder()),
)


def start(routes: Iterable[str]) -> None:
    """Count, from now on, together with the other workers; `routes` are all that requests are counted under."""
    _ROUTES[:] = sorted(set(routes))
    TABLE.share()
    WORKERS.set(1)
    WORKER_STARTS.add()


def count_request(route: str, status: int, seconds: float) -> None:
    """Count one request to `route`, one of those that `start` was told."""
    REQUESTS.add(route, status)
    DURATION.observe(seconds, route)


def count_stages(seconds: Iterable[float]) -> None:
    """Count what one request spent in each of `STAGES`."""
    STAGE_SECONDS.add_each(seconds)


def count_predictions(
    digits: NDArray[np.intp],
    confidence: NDArray[np.float32],
    novelty: NDArray[np.float32] | None = None,
    accepted: NDArray[np.bool_] | None = None,
) -> None:
    """Count the images of one answer; all arrays have the shape (N,)."""
    IMAGES.add(amount=len(digits))
    if len(digits) == 1:  # the usual case, in a fifth of the time
        PREDICTIONS.add(int(digits[0]))
        CONFIDENCE.observe(float(confidence[0]))
        if novelty is not None and accepted is not None:
            NOVELTY.observe(float(novelty[0]))
            ACCEPTANCE.add("true" if accepted[0] else "false")
        return
    PREDICTIONS.add_each(np.bincount(digits, minlength=NUM_CLASSES).tolist())
    CONFIDENCE.observe_all(confidence)
    if novelty is not None and accepted is not None:
        NOVELTY.observe_all(novelty)
        ACCEPTANCE.add_each(np.bincount(accepted, minlength=2).tolist())


def exposition() -> bytes:
    """Return the metrics of all workers in Prometheus's text form."""
    registry = CollectorRegistry()
    registry.register(TABLE)
    return generate_latest(registry)
