"""Counters, gauges and histograms as plain numbers in a worker's row, which `prometheus_client` exposes.

Its own take 13 µs of a request, these 3. They are exact where one thread counts: the event loop's.
"""

import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from service.observability.shared_rows import SharedRows

Rows = NDArray[np.float64]


class Table(Collector):
    """Families side by side in the row of each worker."""

    def __init__(self) -> None:
        self.families: list[Family] = []

    def share(self) -> None:
        """Count from now on where the other workers can read it. The values of all labels must be known."""
        sizes = [family.lay_out() for family in self.families]
        self._stops = list(itertools.accumulate(sizes))
        self._rows = SharedRows(self._stops[-1])
        for family, stop, size in zip(self.families, self._stops, sizes, strict=True):
            family.place(self._rows.own[stop - size : stop])

    @property
    def instance(self) -> str:
        """The run whose workers count together."""
        return self._rows.instance

    def collect(self) -> Iterable[Metric]:
        rows, is_live = self._rows.read()
        for family, numbers in zip(self.families, np.split(rows, self._stops, axis=1), strict=False):
            yield family.collect(numbers, is_live)


class Family:
    """The series of one name: one, of `width` numbers, for each combination of the values of its labels."""

    width = 1
    exposed_as: Any

    def __init__(self, table: Table, name: str, text: str, **labels: Collection[object]) -> None:
        table.families.append(self)
        self.name, self.text, self.labels = f"digit_classifier_{name}", text, labels
        self.place(memoryview(bytearray(8 * self.lay_out())).cast("d"))

    def lay_out(self) -> int:
        """Return how many numbers all series take, now that the values of the labels are known."""
        series = itertools.product(*self.labels.values())
        self._starts = {values: self.width * index for index, values in enumerate(series)}
        return self.width * len(self._starts)

    def place(self, numbers: "memoryview[float]") -> None:
        """Count in `numbers` from now on, on top of what is there."""
        self._numbers = numbers

    def collect(self, rows: Rows, is_live: NDArray[np.bool_]) -> Metric:
        """Add up the numbers of all workers, (R, N); of each row, `is_live` (R,) says whether its worker lives."""
        family = self.exposed_as(self.name, self.text, labels=list(self.labels))
        totals = rows.sum(axis=0).reshape(-1, self.width)
        # Of routes what never occurred is left out: most statuses never do.
        is_shown = totals.any(axis=1) | ("route" not in self.labels)
        for values, numbers in itertools.compress(zip(self._starts, totals, strict=True), is_shown):
            self.expose(family, [str(value) for value in values], numbers)
        return family

    def expose(self, family: Any, labels: list[str], numbers: Rows) -> None:
        family.add_metric(labels, numbers[0])


class Counter(Family):
    """Only grows."""

    exposed_as = CounterMetricFamily

    def add(self, *labels: object, amount: float = 1) -> None:
        self._numbers[self._starts[labels]] += amount

    def add_each(self, amounts: Iterable[float]) -> None:
        """Add to all series, in the order of their labels' values."""
        for index, amount in enumerate(amounts):
            self._numbers[index] += amount


class Gauge(Family):
    """Says how things are now, added up over the workers that live."""

    exposed_as = GaugeMetricFamily

    def place(self, numbers: "memoryview[float]") -> None:
        numbers[:] = memoryview(bytes(numbers.nbytes)).cast("d")  # forget what a dead worker said
        super().place(numbers)

    def add(self, amount: float, *labels: object) -> None:
        self._numbers[self._starts[labels]] += amount

    def set(self, value: float) -> None:
        """Say how a gauge without labels is."""
        self._numbers[0] = value

    def collect(self, rows: Rows, is_live: NDArray[np.bool_]) -> Metric:
        return super().collect(rows[is_live], is_live)


class Level(Gauge):
    """Says what is the same for all workers, or the worst of them: the highest value of those that live."""

    def collect(self, rows: Rows, is_live: NDArray[np.bool_]) -> Metric:
        return Family.collect(self, rows[is_live].max(axis=0, keepdims=True), is_live)


class Reading(Family):
    """Says what `read` returns when the metrics are asked for, one number for all workers; nothing where that is None."""

    width = 0

    def __init__(self, table: Table, name: str, text: str, exposed_as: type[Metric], read: Callable[[], float | None]) -> None:
        super().__init__(table, name, text)
        self.exposed_as, self._read = exposed_as, read

    def collect(self, rows: Rows, is_live: NDArray[np.bool_]) -> Metric:
        family = self.exposed_as(self.name, self.text)
        if (value := self._read()) is not None:
            family.add_metric([], value)
        return family


class Info(Gauge):
    """Is 1 for the values that its labels have in a live worker: any text, of 500 bytes together."""

    width = 64

    def __init__(self, table: Table, name: str, text: str, labels: Sequence[str]) -> None:
        super().__init__(table, name, text)
        self._names = labels

    def tell(self, *values: str) -> None:
        text = self._numbers.cast("B")
        text[:] = "\0".join(values).encode()[: len(text)].ljust(len(text), b"\0")

    def collect(self, rows: Rows, is_live: NDArray[np.bool_]) -> Metric:
        family = GaugeMetricFamily(self.name, self.text, labels=self._names)
        for text in sorted({row.tobytes().rstrip(b"\0").decode(errors="replace") for row in rows[is_live]} - {""}):
            family.add_metric(text.split("\0"), 1)
        return family


class Histogram(Family):
    """Counts values by buckets, each above the bound of the one before up to its own, and adds them up."""

    exposed_as = HistogramMetricFamily

    def __init__(self, table: Table, name: str, text: str, bounds: Sequence[float], **labels: Collection[object]) -> None:
        self._bounds = (*bounds, math.inf)
        self.width = len(self._bounds) + 1  # the last number is the sum
        super().__init__(table, name, text, **labels)

    def observe(self, value: float, *labels: object) -> None:
        start = self._starts[labels]
        self._numbers[start + bisect_left(self._bounds, value)] += 1
        self._numbers[start + self.width - 1] += value

    def observe_all(self, values: NDArray[np.floating]) -> None:
        """Observe each of `values` (N,), in hardly more time than one. For a histogram without labels."""
        for bucket, count in enumerate(np.bincount(np.searchsorted(self._bounds, values)).tolist()):
            self._numbers[bucket] += count
        self._numbers[self.width - 1] += values.sum(dtype=np.float64)

    def expose(self, family: Any, labels: list[str], numbers: Rows) -> None:
        bounds = map(floatToGoString, self._bounds)
        family.add_metric(labels, list(zip(bounds, numbers[:-1].cumsum(), strict=True)), numbers[-1])
