"""Counters, gauges and histograms as plain numbers in a worker's row, which `prometheus_client` exposes.

Its own take 15–20 µs of a request, these take 2. They are exact if one thread counts, the event loop's.
"""

import itertools
import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from service.observability.shared_rows import SharedRows

_Rows = NDArray[np.float64]
_Live = NDArray[np.bool_]


class Family:
    """The series of one name: one for each combination of the values that its labels may have."""

    width = 1

    def __init__(self, name: str, text: str, **labels: Collection[object]) -> None:
        self.name = f"digit_classifier_{name}"
        self.text = text
        self.labels = labels
        self.place(memoryview(bytearray(8 * self.count_numbers())).cast("d"))

    def count_numbers(self) -> int:
        """Return how many numbers the series take together."""
        series = itertools.product(*self.labels.values())
        self._starts = {values: self.width * index for index, values in enumerate(series)}
        return self.width * len(self._starts)

    def place(self, numbers: "memoryview[float]") -> None:
        """Count in `numbers` from now on, on top of what is there."""
        self._numbers = numbers

    def collect(self, rows: _Rows, is_live: _Live) -> Metric:
        """Return what the workers say together: `rows` (R, N) are their numbers, `is_live` (R,) who still lives."""
        raise NotImplementedError

    def _series(self, rows: _Rows) -> Iterator[tuple[list[str], _Rows]]:
        """Yield the labels and the totals of each series. Of a route, what never occurred is left out: most never does."""
        totals = rows.sum(axis=0).reshape(-1, self.width)
        is_shown = totals.any(axis=1) | ("route" not in self.labels)
        for values, numbers, shown in zip(self._starts, totals, is_shown, strict=True):
            if shown:
                yield [str(value) for value in values], numbers


class Counter(Family):
    """Only grows."""

    def add(self, amount: float, *labels: object) -> None:
        self._numbers[self._starts[labels]] += amount

    def collect(self, rows: _Rows, is_live: _Live) -> Metric:
        family = CounterMetricFamily(self.name, self.text, labels=list(self.labels))
        for labels, (total,) in self._series(rows):
            family.add_metric(labels, total)
        return family


class Gauge(Family):
    """Says how things are now, added up over the workers that live."""

    def place(self, numbers: "memoryview[float]") -> None:
        numbers[:] = memoryview(bytearray(numbers.nbytes)).cast("d")  # what a dead worker said of itself
        super().place(numbers)

    def add(self, amount: float, *labels: object) -> None:
        self._numbers[self._starts[labels]] += amount

    def set(self, value: float, *labels: object) -> None:
        self._numbers[self._starts[labels]] = value

    def collect(self, rows: _Rows, is_live: _Live) -> Metric:
        family = GaugeMetricFamily(self.name, self.text, labels=list(self.labels))
        for labels, (total,) in self._series(rows[is_live]):
            family.add_metric(labels, total)
        return family


class Info(Gauge):
    """Is 1 for the values that its labels have in a live worker; they may be any, of 500 bytes together."""

    width = 64

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        super().__init__(name, text)
        self._names = labels

    def tell(self, *values: str) -> None:
        text = self._numbers.cast("B")
        text[:] = "\0".join(values).encode()[: len(text)].ljust(len(text), b"\0")

    def collect(self, rows: _Rows, is_live: _Live) -> Metric:
        family = GaugeMetricFamily(self.name, self.text, labels=self._names)
        for text in sorted({row.tobytes().rstrip(b"\0").decode(errors="replace") for row in rows[is_live]} - {""}):
            family.add_metric(text.split("\0"), 1)
        return family


class Histogram(Family):
    """Counts values by buckets, of which each begins above the one before, and adds them up."""

    def __init__(self, name: str, text: str, buckets: Sequence[float], **labels: Collection[object]) -> None:
        self._buckets = (*buckets, math.inf)
        self.width = len(self._buckets) + 1  # the last number is the sum
        super().__init__(name, text, **labels)

    def observe(self, value: float, *labels: object) -> None:
        start = self._starts[labels]
        self._numbers[start + bisect_left(self._buckets, value)] += 1
        self._numbers[start + self.width - 1] += value

    def observe_all(self, values: NDArray[np.floating], *labels: object) -> None:
        """Observe each of `values` (N,), in a time that hardly depends on how many there are."""
        start = self._starts[labels]
        for bucket, count in enumerate(np.bincount(np.searchsorted(self._buckets, values))):
            self._numbers[start + bucket] += count
        self._numbers[start + self.width - 1] += values.sum(dtype=np.float64)

    def collect(self, rows: _Rows, is_live: _Live) -> Metric:
        family = HistogramMetricFamily(self.name, self.text, labels=list(self.labels))
        bounds = [floatToGoString(bound) for bound in self._buckets]
        for labels, numbers in self._series(rows):
            family.add_metric(labels, list(zip(bounds, numbers[:-1].cumsum(), strict=True)), numbers[-1])
        return family


_F = TypeVar("_F", bound=Family)


class Table(Collector):
    """Families side by side in the row of a worker."""

    def __init__(self) -> None:
        self.families: list[Family] = []

    def add(self, family: _F) -> _F:
        self.families.append(family)
        return family

    def share(self) -> None:
        """Count from now on where the other workers can read it. The values of all labels are known by then."""
        sizes = [family.count_numbers() for family in self.families]
        self._stops = list(itertools.accumulate(sizes))
        self._rows = SharedRows(self._stops[-1])
        for family, stop, size in zip(self.families, self._stops, sizes, strict=True):
            family.place(self._rows.own[stop - size : stop])

    def collect(self) -> Iterable[Metric]:
        rows, is_live = self._rows.read()
        for family, numbers in zip(self.families, np.split(rows, self._stops, axis=1), strict=False):
            yield family.collect(numbers, is_live)
