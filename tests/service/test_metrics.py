"""What `/metrics` says, against what was asked."""

import json
import random
import string
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from tests.serving import Server, serving
from training.data import Mnist

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(server: Server) -> Series:
    text = httpx.get(f"{server.url}/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float:
    return series.get((f"digit_classifier_{name}", tuple(sorted(labels.items()))), 0)


def send(server: Server, images: np.ndarray) -> dict[str, list]:
    return server.predict(json.dumps({"images": images.tolist()}).encode()).json()


def test_two_workers_are_counted_as_one_service(home: Path, mnist: Mnist) -> None:
    with serving(home, WORKERS="2") as server:
        assert len(server.workers()) == 2
        with ThreadPoolExecutor(8) as pool:
            # A new connection for each request, so that both workers take some.
            answers = list(pool.map(lambda start: send(server, mnist.test.images[start : start + 5]), range(0, 1000, 5)))
            refused = list(pool.map(lambda _: server.predict(b"{").status_code, range(20)))
        series = scrape(server)
    assert refused == [400] * 20
    digits = np.concatenate([answer["digits"] for answer in answers])
    confidence = np.concatenate([answer["probabilities"] for answer in answers]).max(axis=1)
    assert value(series, "requests_total", route="/predict", status="200") == 200
    assert value(series, "requests_total", route="/predict", status="400") == 20
    assert value(series, "request_duration_seconds_count", route="/predict") == 220
    assert value(series, "images_total") == 1000
    assert value(series, "batch_size_images_sum") == 1000
    assert 0 < value(series, "batch_size_images_count") <= 200  # those that came together rode together
    assert value(series, "rejected_total", reason="malformed") == 20
    for digit, count in enumerate(np.bincount(digits, minlength=10)):
        assert value(series, "answers_total", digit=str(digit)) == count
    for tenth, count in enumerate(np.bincount((np.float32(confidence) * 10).astype(int).clip(max=9), minlength=10)):
        assert value(series, "answers_by_confidence_total", tenth=f"{tenth / 10:.1f}") == count
    (info,) = [labels for name, labels in series if name == "digit_classifier_model_info"]
    assert dict(info) | {"version": ""} == {"version": "", "recipe": "baseline", "runtime": "litert", "device": "cpu"}


def test_ten_thousand_random_paths_add_no_series_and_leave_the_scrape_quick(server: Server) -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices(string.ascii_letters + "/%&=~é", k=rng.randint(1, 40))) for _ in range(10_000)]
    with httpx.Client(base_url=server.url) as client:
        client.get("/one-that-is-not-there")
        client.request("DELETE", "/predict")
        scrape(server)  # the first adds the series of `/metrics` itself
        before = scrape(server)
        for number, word in enumerate(words):
            client.request(("GET", "POST", "DELETE")[number % 3], httpx.URL(server.url, path=f"/{word}"))
        client.get("/predict/7", headers={"content-type": "application/x-unknown"})
    after = scrape(server)
    assert after.keys() == before.keys()
    found_nothing = {"route": "none", "status": "404"}
    assert value(after, "requests_total", **found_nothing) >= value(before, "requests_total", **found_nothing) + 10_000
    started = time.perf_counter()
    scrape(server)
    seconds = time.perf_counter() - started
    print(f"scrape after 10,000 random paths: {seconds * 1000:.0f} ms")
    assert seconds < 1  # ten times the bound, since the machine may be busy


def test_buckets_resolve_a_tenth_of_a_millisecond_to_five_seconds(server: Server) -> None:
    httpx.get(f"{server.url}/livez")
    bounds = {float(dict(labels)["le"]) for name, labels in scrape(server) if name.endswith("duration_seconds_bucket")}
    assert {0.0001, 0.001, 0.01, 0.1, 1.0, 5.0} <= bounds
