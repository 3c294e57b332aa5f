"""Series in the exposition, against those of `prometheus_client` itself."""

from collections.abc import Iterator

import numpy as np
import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily

from service.observability.series import Counter, Gauge, Histogram, Info, Level, Reading, Table

BOUNDS = (0.1, 0.5, 1.0, 2.5)
VALUES = (0.05, 0.1, 0.3, 0.5, 0.7, 2.5, 2.6, 100.0)


def text_of(table: Table) -> str:
    registry = CollectorRegistry()
    registry.register(table)
    return generate_latest(registry).decode()


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    prometheus_client.disable_created_metrics()
    yield CollectorRegistry()
    prometheus_client.enable_created_metrics()


def test_the_text_is_that_of_prometheus_client_for_the_same_counts(registry: CollectorRegistry) -> None:
    odd = 'with "quotes" and a \\'
    table = Table()
    counter = Counter(table, "things", "Things\nseen.", kind=("a", odd), size=(1, 2))
    gauge = Gauge(table, "level", "How high.")
    histogram = Histogram(table, "seconds", "How long.", BOUNDS, kind=("a", "b"))
    table.share()
    their_counter = prometheus_client.Counter("digit_classifier_things", "Things\nseen.", ("kind", "size"), registry=registry)
    their_gauge = prometheus_client.Gauge("digit_classifier_level", "How high.", registry=registry)
    their_histogram = prometheus_client.Histogram(
        "digit_classifier_seconds", "How long.", ("kind",), buckets=BOUNDS, registry=registry
    )
    for kind in ("a", odd):
        for size in (1, 2):
            counter.add(kind, size, amount=size / 4)
            their_counter.labels(kind, size).inc(size / 4)
    gauge.set(7)
    gauge.add(-2.5)
    their_gauge.set(4.5)
    their_histogram.labels("a")
    for kind in ("a", "b"):
        for value in VALUES:
            histogram.observe(value, kind)
            their_histogram.labels(kind).observe(value)
    assert text_of(table) == generate_latest(registry).decode()


def numbers(count: int) -> "memoryview[float]":
    return memoryview(bytearray(8 * count)).cast("d")


def test_observing_all_at_once_is_observing_each() -> None:
    values = np.array(VALUES, np.float32)
    together, singly = Histogram(Table(), "x", "", BOUNDS), Histogram(Table(), "x", "", BOUNDS)
    at_once, each = numbers(len(BOUNDS) + 2), numbers(len(BOUNDS) + 2)
    together.place(at_once)
    singly.place(each)
    together.observe_all(values)
    for value in values.tolist():
        singly.observe(value)
    assert at_once[:-1].tolist() == each[:-1].tolist() == [1, 3, 1, 1, 2]  # 0.1 as a float32 is above 0.1
    assert at_once[-1] == pytest.approx(each[-1])


def test_a_gauge_is_the_sum_over_those_that_live_and_a_counter_over_all_that_ever_did() -> None:
    rows, is_live = np.array([[1.0], [2.0], [4.0]]), np.array([True, False, True])
    (gauge,) = Gauge(Table(), "x", "").collect(rows, is_live).samples
    (counter,) = Counter(Table(), "x", "").collect(rows, is_live).samples
    assert (gauge.value, counter.value) == (5, 7)


def test_a_worker_that_takes_over_the_row_of_another_counts_on_but_its_gauges_begin_at_0() -> None:
    row = numbers(2)
    row[0] = row[1] = 3
    counter, gauge = Counter(Table(), "x", ""), Gauge(Table(), "y", "")
    counter.place(row[:1])
    gauge.place(row[1:])
    counter.add()
    gauge.add(1)
    assert row.tolist() == [4, 1]


def test_a_gauge_with_labels_has_a_series_for_each_of_their_values() -> None:
    table = Table()
    gauge = Gauge(table, "pending", "", size=("small", "large"))
    table.share()
    gauge.add(3, "large")
    gauge.add(-1, "large")
    assert [line for line in text_of(table).splitlines() if "{" in line] == [
        'digit_classifier_pending{size="small"} 0.0',
        'digit_classifier_pending{size="large"} 2.0',
    ]


def test_a_reading_is_taken_when_it_is_asked_for_and_is_absent_where_there_is_none() -> None:
    table, answers = Table(), [None, 7.0]
    Counter(table, "before", "").add()
    Reading(table, "kills", "", CounterMetricFamily, lambda: answers.pop(0))
    after = Gauge(table, "after", "")
    table.share()
    after.set(5)
    shown = [[line for line in text_of(table).splitlines() if "#" not in line] for _ in range(2)]
    others = ["digit_classifier_before_total 0.0", "digit_classifier_after 5.0"]
    assert shown == [others, [others[0], "digit_classifier_kills_total 7.0", others[1]]]


def test_an_info_names_what_live_workers_told_last_each_once() -> None:
    table = Table()
    info = Info(table, "version", "", ("name", "device"))
    table.share()
    assert "version{" not in text_of(table)
    info.tell("a-long-name", "cpu")
    info.tell("b", "gpu")
    assert [line for line in text_of(table).splitlines() if "{" in line] == [
        'digit_classifier_version{device="gpu",name="b"} 1.0'
    ]


def test_what_several_workers_tell_alike_is_one_series_and_what_dead_ones_told_is_none() -> None:
    row, others = numbers(Info.width), numbers(Info.width)
    info, dead = Info(Table(), "x", "", ("name",)), Info(Table(), "x", "", ("name",))
    info.place(row)
    dead.place(others)
    info.tell("é" * 1000)  # longer than there is room for
    dead.tell("gone")
    (sample,) = info.collect(np.array([row, row, others]), np.array([True, True, False])).samples
    assert sample.labels["name"].startswith("é" * 200)


def test_a_level_is_that_of_the_workers_that_live_and_is_not_added_up() -> None:
    table = Table()
    level = Level(table, "expected", "")
    table.share()
    level.set(0.7)
    assert "digit_classifier_expected 0.7" in text_of(table)
    (sample,) = level.collect(np.array([[0.7], [0.7], [0.9]]), np.array([True, True, False])).samples
    assert sample.value == 0.7


def test_of_routes_only_what_occurred_is_shown_and_of_other_labels_all() -> None:
    table = Table()
    by_route = Counter(table, "requests", "", route=("/a", "/b"), status=(200, 400))
    Counter(table, "rejected", "", reason=("full", "late"))
    table.share()
    by_route.add("/b", 400)
    assert [line for line in text_of(table).splitlines() if not line.startswith("#")] == [
        'digit_classifier_requests_total{route="/b",status="400"} 1.0',
        'digit_classifier_rejected_total{reason="full"} 0.0',
        'digit_classifier_rejected_total{reason="late"} 0.0',
    ]
