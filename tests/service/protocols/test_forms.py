"""Every form of a body over real HTTP: the same pixels, the same answer; what the answer carries besides."""

import io
import json
import os
import re
import signal
import socket
import threading
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path

import httpx
import keras
import numpy as np
import pytest
from PIL import Image

from models.architectures import build_softmax_classifier
from models.card import PARITY_TOLERANCE
from service.images.normalisation import read_picture
from service.observability.metrics import STAGES
from service.protocols.media_types import REQUEST_FORMATS
from tests.service.observability.test_metrics import scrape, value
from tests.support.serving import Server, serving
from training.data import Mnist
from training.evaluate import probabilities_of

BYTES = "application/octet-stream"


def dumped(images: np.ndarray) -> bytes:
    return json.dumps({"images": images.tolist()}).encode()


def saved(images: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, images)
    return file.getvalue()


def drawn(image: np.ndarray, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image.reshape(28, 28)).save(file, form)
    return file.getvalue()


def as_form(pictures: list[bytes]) -> tuple[bytes, str]:
    request = httpx.Request("POST", "http://x", files=[("image", ("digit.png", each, "image/png")) for each in pictures])
    return request.read(), request.headers["content-type"]


SAME_PIXELS: dict[str, Callable[[np.ndarray], tuple[bytes, str]]] = {
    "JSON, flat": lambda images: (dumped(images), "application/json"),
    "JSON, square": lambda images: (dumped(images.reshape(-1, 28, 28)), "application/json; charset=utf-8"),
    "JSON, floats": lambda images: (dumped(images.astype(float)), "application/json"),
    "bytes": lambda images: (images.tobytes(), BYTES),
    "npy, flat": lambda images: (saved(images), "application/x-npy"),
    "npy, square": lambda images: (saved(images.reshape(-1, 28, 28)), "application/x-npy"),
    "npy, big-endian, by columns": lambda images: (saved(np.asfortranarray(images.astype(">f4"))), "application/x-npy"),
    "multipart": lambda images: as_form([drawn(each) for each in images]),
}


@pytest.fixture(scope="module")
def centred(mnist: Mnist) -> np.ndarray:
    """Return test digits as uint8 (1000, 784) as reading them as pictures brings them into form."""
    return np.stack([read_picture(drawn(image)) for image in mnist.test.images[:1000]]).reshape(-1, 784)


@pytest.mark.parametrize("size", [1, 2, 64, 1000])
@pytest.mark.parametrize("form", SAME_PIXELS.values(), ids=SAME_PIXELS.keys())
def test_the_same_pixels_have_the_same_answer_in_every_form(
    server: Server, classifier: keras.Sequential, centred: np.ndarray, form, size: int
) -> None:
    images = centred[:size]
    body, content_type = form(images)
    answer = server.predict(body, content_type)
    assert answer.status_code == 200, answer.text
    if content_type.startswith("multipart"):  # reading them once more moves some by a pixel
        images = np.stack([read_picture(drawn(each)) for each in images]).reshape(-1, 784)
    assert answer.json() == server.predict(dumped(images)).json()
    expected = probabilities_of(classifier, images)
    assert np.abs(np.array(answer.json()["probabilities"]) - expected).max() <= PARITY_TOLERANCE
    assert answer.json()["digits"] == expected.argmax(axis=1).tolist()


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_picture_is_answered_as_the_pixels_that_it_is_read_as(server: Server, digit: np.ndarray, form: str) -> None:
    picture = drawn(255 - digit, form)
    answer = server.predict(picture, f"image/{form.lower()}").json()
    assert answer["digits"] == [7]
    assert answer == server.predict(dumped(read_picture(picture)[None])).json()


def test_all_forms_of_the_contract_are_tried_here(centred: np.ndarray) -> None:
    tried = {form(centred[:1])[1].partition(";")[0] for form in SAME_PIXELS.values()}
    assert tried | {"image/png", "image/jpeg"} == set(REQUEST_FORMATS)


@pytest.mark.parametrize("content_type", [each for each in REQUEST_FORMATS if each != "application/json"])
@pytest.mark.parametrize("body", [b"", b"seven", b"\x89PNG\r\n\x1a\n"])
def test_a_bad_body_of_any_form_is_a_400_with_a_sentence(server: Server, content_type: str, body: bytes) -> None:
    answer = server.predict(body, content_type)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert answer.json()["error"].endswith(".")
    assert "send" in answer.json()["error"] or "write it with numpy.save" in answer.json()["error"]


def ask(server: Server, images: np.ndarray, query: str = "", **headers: str) -> httpx.Response:
    return httpx.post(f"{server.url}/predict{query}", content=images.tobytes(), headers={"content-type": BYTES, **headers})


@pytest.mark.parametrize(
    "accept", [BYTES, f"text/html, {BYTES};q=0.9, application/json;q=0.5", "application/json;q=0.1, application/*"]
)
def test_probabilities_come_as_little_endian_float32_to_those_who_accept_bytes(server: Server, mnist: Mnist, accept) -> None:
    images = mnist.test.images[:3]
    answer = ask(server, images, accept=accept)
    assert answer.headers["content-type"] == BYTES
    assert answer.headers["x-model-version"] in ask(server, images).json()["model"]
    in_json = np.array(ask(server, images).json()["probabilities"], np.float32)
    assert np.array_equal(np.frombuffer(answer.content, "<f4").reshape(3, 10), in_json)


@pytest.mark.parametrize(
    "accept",
    ["*/*", "", "text/html", f"application/json, {BYTES};q=0.9", f"{BYTES};q=0", f"*/*;q=0.9, {BYTES};q=0.1"],
)
def test_everyone_else_is_answered_in_json(server: Server, digit: np.ndarray, accept: str) -> None:
    assert ask(server, digit, accept=accept).json()["digits"] == [7]


def test_the_evidence_adds_up_to_the_logit_that_keras_computes(
    server: Server, classifier: keras.Sequential, mnist: Mnist
) -> None:
    images = mnist.test.images[:100]
    answer = ask(server, images, "?explain=true").json()
    linear = build_softmax_classifier("linear")
    linear.set_weights(classifier.get_weights())
    logits = linear.predict(images, verbose=0)  # pyright: ignore[reportArgumentType]
    for index, evidence in enumerate(answer["evidence"]):
        assert list(evidence) == ["digit", "logit", "bias", "pixels"]
        assert evidence["digit"] == answer["digits"][index]
        assert len(evidence["pixels"]) == 784
        assert abs(sum(evidence["pixels"]) + evidence["bias"] - evidence["logit"]) <= 1e-4
        assert abs(evidence["logit"] - logits[index, evidence["digit"]]) <= 1e-4
        assert not any(share for share, pixel in zip(evidence["pixels"], images[index], strict=True) if not pixel)
    assert "evidence" not in ask(server, images, "?explain=false").json()
    assert "evidence" not in ask(server, images, "?other=1").json()


def test_evidence_has_no_binary_form(server: Server, digit: np.ndarray) -> None:
    answer = ask(server, digit, "?explain=true", accept=BYTES)
    assert answer.status_code == 400
    assert "no room for evidence" in answer.json()["error"]
    assert ask(server, digit, "?explain=maybe").status_code == 400


def test_server_timing_says_where_the_time_went(server: Server, digit: np.ndarray) -> None:
    before = scrape(server)
    answer = ask(server, digit)
    after = scrape(server)
    timing = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["server-timing"]))
    assert tuple(timing) == STAGES
    for stage, milliseconds in timing.items():
        name = "stage_seconds_total"
        counted = value(after, name, stage=stage) - value(before, name, stage=stage)
        assert float(milliseconds) == pytest.approx(1000 * counted, abs=0.001)


def test_bodies_that_wait_beyond_the_bound_are_a_429_that_says_when_to_come_again(home: Path, mnist: Mnist) -> None:
    with serving(home, MAX_BATCH_IMAGES="8", MAX_BODY_BYTES="6272", MAX_PENDING_BODY_BYTES="62720") as server:
        request = (
            b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ncontent-length: 6272\r\n\r\n"
            + mnist.test.images[:8].tobytes()
        )
        statuses, retry_after = answers_in_one_turn(server, request, 50)
        assert set(statuses) == {200, 429}
        assert retry_after == {"1"}
        series = scrape(server)
        assert value(series, "rejected_total", reason="queue_full") == statuses.count(429)
        assert value(series, "images_total") == 8 * statuses.count(200)
        assert ask(server, mnist.test.images[:8]).status_code == 200


def answers_in_one_turn(server: Server, request: bytes, count: int) -> tuple[list[int], set[str | None]]:
    """Send `request` over `count` connections while the worker is stopped, so that it finds them all at once."""
    (worker,) = server.workers()
    port = httpx.URL(server.url).port
    assert port
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for connection in connections:  # each is accepted before the worker is stopped
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        response = HTTPResponse(connection)
        response.begin()
        response.read()
    os.kill(worker, signal.SIGSTOP)
    for connection in connections:
        connection.sendall(request)
    os.kill(worker, signal.SIGCONT)
    statuses, retry_after = [], set()
    for connection in connections:
        response = HTTPResponse(connection)
        response.begin()
        statuses.append(response.status)
        if response.status == 429:
            retry_after.add(response.headers["retry-after"])
        connection.close()
    return statuses, retry_after


def test_pages_of_named_origins_alone_may_call_the_service(home: Path, server: Server, digit: np.ndarray) -> None:
    with serving(home, CORS_ORIGINS="https://a.example, https://b.example") as open_server:
        for origin in ("https://a.example", "https://b.example"):
            for answer in (ask(open_server, digit, origin=origin), ask(open_server, digit[:1], origin=origin)):
                assert answer.headers["access-control-allow-origin"] == origin
            wish = "access-control-request-"
            asked = {"origin": origin, f"{wish}method": "POST", f"{wish}headers": "content-type"}
            preflight = httpx.options(f"{open_server.url}/predict", headers=asked)
            assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, origin)
        assert "access-control-allow-origin" not in ask(open_server, digit, origin="https://c.example").headers
    assert "access-control-allow-origin" not in ask(server, digit, origin="https://a.example").headers


def test_pictures_are_read_beside_the_requests_of_others(server: Server, digit: np.ndarray) -> None:
    picture = io.BytesIO()
    Image.fromarray(np.kron(digit.reshape(28, 28), np.ones((100, 100), np.uint8))).save(picture, "PNG", compress_level=1)
    done = threading.Event()
    answers: list[int] = []

    def read_large_pictures() -> None:
        while not done.is_set():
            answers.append(server.predict(picture.getvalue(), "image/png").status_code)

    reader = threading.Thread(target=read_large_pictures)
    reader.start()
    with httpx.Client(base_url=server.url) as client:
        seconds = [
            client.post("/predict", content=digit.tobytes(), headers={"content-type": BYTES}).elapsed.total_seconds()
            for _ in range(200)
        ]
    done.set()
    reader.join()
    assert set(answers) == {200}
    print(f"one image beside pictures of 2,800 × 2,800: median {1000 * np.median(seconds):.1f} ms, {len(answers)} pictures")
    assert np.median(seconds) < 0.5
