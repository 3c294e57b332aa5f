"""What `/metrics` says, against what was asked."""

import contextlib
import json
import os
import random
import signal
import string
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.protocols.media_types import BYTES
from tests.support.metrics import Series, scrape, value
from tests.support.raw_http import post, request_headers
from tests.support.refused import refused_start
from tests.support.serving import Server, serving
from tests.support.waiting import starts, until
from training.data import Mnist


def send(server: Server, images: np.ndarray) -> dict[str, list]:
    return server.predict(json.dumps({"images": images.tolist()}).encode()).json()


def confidences(series: Series) -> dict[float, float]:
    """Return how many images were answered with a confidence of at most each bound."""
    name = "digit_classifier_prediction_confidence_bucket"
    return {float(dict(labels)["le"]): count for (each, labels), count in series.items() if each == name}


def expected_confidences(confidence: np.ndarray) -> dict[float, float]:
    bounds = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0, np.inf)
    return {bound: (confidence <= bound).sum() for bound in bounds}


def test_digits_and_confidences_are_counted_as_they_were_answered(server: Server, mnist: Mnist) -> None:
    before = scrape(server)
    answers = [send(server, mnist.test.images[start:stop]) for start, stop in ((0, 1), (1, 2), (2, 300))]
    after = scrape(server)
    digits = np.concatenate([answer["digits"] for answer in answers])
    probabilities = np.concatenate([answer["probabilities"] for answer in answers]).astype(np.float32)
    confidence = probabilities[np.arange(len(digits)), digits]
    counted = {
        digit: value(after, "predictions_total", digit=digit) - value(before, "predictions_total", digit=digit)
        for digit in "0123456789"
    }
    assert counted == {str(digit): count for digit, count in enumerate(np.bincount(digits, minlength=10))}
    more = {bound: count - confidences(before)[bound] for bound, count in confidences(after).items()}
    assert more == expected_confidences(confidence)
    total = value(after, "prediction_confidence_sum") - value(before, "prediction_confidence_sum")
    assert total == pytest.approx(confidence.sum(), rel=1e-5)
    assert value(after, "images_total") - value(before, "images_total") == 300


def test_novelty_and_acceptance_are_counted_as_they_were_answered_and_not_for_binary_answers(
    server: Server, mnist: Mnist
) -> None:
    def counted() -> list[float]:
        after = scrape(server)
        accepted = [value(after, "acceptance_total", accepted=each) for each in ("true", "false")]
        names = ("prediction_novelty_count", "prediction_novelty_sum", "expected_acceptance")
        return accepted + [value(after, name) for name in names]

    before = counted()
    answers = [send(server, mnist.test.images[start:stop]) for start, stop in ((0, 1), (1, 300))]
    server.predict(mnist.test.images[:50].tobytes(), BYTES, accept=BYTES)
    novelty = np.concatenate([answer["novelty"] for answer in answers])
    accepted = np.concatenate([answer["accepted"] for answer in answers])
    more = np.subtract(counted(), before)
    assert more[:3].tolist() == [accepted.sum(), 300 - accepted.sum(), 300]
    assert more[3] == pytest.approx(novelty.sum(), rel=1e-5)
    assert 0 < counted()[4] < 1


@pytest.mark.slow
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
    assert 0 < value(series, "batch_size_images_count") <= 200  # requests of one moment shared a batch
    assert value(series, "rejected_total", reason="malformed") == 20
    for digit, count in enumerate(np.bincount(digits, minlength=10)):
        assert value(series, "predictions_total", digit=str(digit)) == count
    assert confidences(series) == expected_confidences(confidence)
    (info,) = [labels for name, labels in series if name == "digit_classifier_model_info"]
    told = {"recipe": "baseline", "architecture": "softmax", "runtime": "litert", "device": "cpu"}
    assert dict(info) | {"version": ""} == {"version": ""} | told


@pytest.mark.slow
def test_all_workers_name_one_instance_also_after_one_is_killed_and_a_service_started_again_names_another(home: Path) -> None:
    def named() -> set[str]:
        return {httpx.get(f"{server.url}/metrics").headers["x-instance"] for _ in range(30)}

    with serving(home, WORKERS="2") as server:
        until(lambda: starts(server) == 2)
        (before,) = named()
        os.kill(server.workers()[0], signal.SIGKILL)
        until(lambda: starts(server) == 3)
        assert named() == {before}
    with serving(home) as server:
        (after,) = named()
    assert after != before


def test_a_second_service_on_the_same_home_leaves_the_first_ones_metrics_alone(home: Path, digit: np.ndarray) -> None:
    with serving(home) as first:
        for _ in range(3):
            send(first, digit[None])
        with serving(home) as second:
            send(second, digit[None])
            assert [value(scrape(server), "images_total") for server in (first, second)] == [3, 1]
        assert value(scrape(first), "images_total") == 3


def test_a_second_service_that_cannot_start_leaves_the_first_ones_metrics_alone(home: Path, digit: np.ndarray) -> None:
    with serving(home) as first:
        send(first, digit[None])
        refused_start(home, port=first.address[1])
        refused_start(home, DEVICE="gpu")
        send(first, digit[None])
        assert value(scrape(first), "images_total") == 2


def test_a_request_is_in_flight_until_it_is_answered(server: Server) -> None:
    request = post(bytes(784), BYTES)
    with server.connect(10) as connection:
        connection.sendall(request[:-1])
        until(lambda: value(scrape(server), "requests_in_flight") == 2)  # the other one is the scrape itself
        connection.sendall(request[-1:])
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        until(lambda: value(scrape(server), "requests_in_flight") == 1)


@pytest.mark.slow
def test_what_a_killed_worker_said_of_itself_goes_and_what_it_counted_stays(home: Path, digit: np.ndarray) -> None:
    half = request_headers(content_length=784, content_type=BYTES)
    with serving(home, WORKERS="2", REQUEST_TIMEOUT_SECONDS="60") as server, contextlib.ExitStack() as stack:
        until(lambda: starts(server) == 2)
        for _ in range(20):  # some to each of the two
            send(server, digit[None])
            stack.enter_context(server.connect(10)).sendall(half)
        until(lambda: value(scrape(server), "requests_in_flight") == 21)
        os.kill(server.workers()[0], signal.SIGKILL)
        until(lambda: value(scrape(server), "requests_in_flight") < 21)
        series = scrape(server)
        assert value(series, "requests_in_flight") > 1
        assert value(series, "images_total") == 20
        until(lambda: starts(server) == 3)
        assert value(scrape(server), "images_total") == 20


KEY = "a-key-of-26-characters-max"
# HTTP's parser knows these and some more; it refuses others before they come to the service.
METHODS = (
    "ACL",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LOCK",
    "MERGE",
    "MOVE",
    "OPTIONS",
    "PATCH",
    "PROPFIND",
    "PURGE",
    "PUT",
    "TRACE",
)


def random_request(rng: random.Random, server: Server) -> httpx.Request:
    """Return a request that has one of path, method, media type and key at random."""
    word = "".join(rng.choices(string.ascii_letters + string.digits + "/%&=~-", k=rng.randint(1, 40)))
    allowed = {"authorization": f"Bearer {KEY}"}
    predict = f"{server.url}/predict"
    return rng.choice(
        [
            httpx.Request(rng.choice(["GET", "POST", "DELETE"]), httpx.URL(server.url, path=f"/{word}é"), headers=allowed),
            httpx.Request(rng.choice(METHODS), predict, headers=allowed),
            httpx.Request("POST", predict, headers=allowed | {"content-type": word}),
            httpx.Request("POST", predict, headers={"authorization": f"Bearer {word}"}),
        ]
    )


def test_ten_thousand_random_paths_methods_types_and_keys_add_no_series_and_leave_the_scrape_quick(home: Path) -> None:
    rng = random.Random(0)
    with serving(home, API_KEYS=KEY, PUBLIC_METRICS="true") as server, httpx.Client() as client:
        for _ in range(40):  # each kind is met, and the first scrape adds the series of `/metrics` itself
            client.send(random_request(rng, server))
        scrape(server)
        before = scrape(server)
        statuses = Counter(str(client.send(random_request(rng, server)).status_code) for _ in range(10_000))
        after = scrape(server)
        started = time.perf_counter()
        scrape(server)
        seconds = time.perf_counter() - started
    print(f"scrape after 10,000 random requests, {dict(statuses)}: {seconds * 1000:.0f} ms")
    assert set(statuses) == {"401", "404", "405", "415"}
    assert after.keys() == before.keys()
    assert requests_by_status(after) - requests_by_status(before) == statuses
    assert seconds < 1  # ten times the bound, since the machine may be busy


def requests_by_status(series: Series) -> Counter[str]:
    """Return how many requests were counted with each status, but those to `/metrics`."""
    counts: Counter[str] = Counter()
    for (name, labels), count in series.items():
        if name == "digit_classifier_requests_total" and dict(labels)["route"] != "/metrics":
            counts[dict(labels)["status"]] += int(count)
    return counts


def test_buckets_resolve_a_tenth_of_a_millisecond_to_five_seconds(server: Server) -> None:
    httpx.get(f"{server.url}/livez")
    bounds = {float(dict(labels)["le"]) for name, labels in scrape(server) if name.endswith("duration_seconds_bucket")}
    assert {0.0001, 0.001, 0.01, 0.1, 1.0, 5.0} <= bounds
