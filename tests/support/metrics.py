"""What `/metrics` of a running service says, as numbers."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.serving import Server

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(server: Server) -> Series:
    return series_in(httpx.get(f"{server.url}/metrics").text)


def series_in(text: str) -> Series:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float:
    return series.get((f"digit_classifier_{name}", tuple(sorted(labels.items()))), 0)


def counted(server: Server, status: str) -> int:
    return int(value(scrape(server), "requests_total", route="/predict", status=status))
