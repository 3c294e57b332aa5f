"""Every request format over real HTTP: the same pixels, the same answer; what the answer carries besides."""

import contextlib
import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import keras
import numpy as np
import pytest

from models.architectures import build
from models.card import PARITY_TOLERANCE
from service.images.normalisation import read_picture
from service.observability.metrics import STAGES
from service.protocols.media_types import BYTES, REQUEST_FORMATS
from tests.support.bodies import json_of, npy
from tests.support.metrics import scrape, value
from tests.support.pictures import encoded
from tests.support.raw_http import Answer, Connection, post, request_headers
from tests.support.serving import Server, serving
from training.data import Mnist
from training.evaluate import probabilities_of


def picture_of(image: np.ndarray, form: str = "PNG") -> bytes:
    return encoded(image.reshape(28, 28), form)


def as_form(pictures: list[bytes]) -> tuple[bytes, str]:
    request = httpx.Request("POST", "http://x", files=[("image", ("digit.png", each, "image/png")) for each in pictures])
    return request.read(), request.headers["content-type"]


SAME_PIXELS: dict[str, Callable[[np.ndarray], tuple[bytes, str]]] = {
    "JSON, flat": lambda images: (json_of(images), "application/json"),
    "JSON, square": lambda images: (json_of(images.reshape(-1, 28, 28)), "application/json; charset=utf-8"),
    "JSON, floats": lambda images: (json_of(images.astype(float)), "application/json"),
    "bytes": lambda images: (images.tobytes(), BYTES),
    "npy, flat": lambda images: (npy(images), "application/x-npy"),
    "npy, square": lambda images: (npy(images.reshape(-1, 28, 28)), "application/x-npy"),
    "npy, big-endian, by columns": lambda images: (npy(np.asfortranarray(images.astype(">f4"))), "application/x-npy"),
    "multipart": lambda images: as_form([picture_of(each) for each in images]),
}


@pytest.fixture(scope="module")
def centred(mnist: Mnist) -> np.ndarray:
    """Return test digits as uint8 (1000, 784) as reading them as pictures brings them into form."""
    return np.stack([read_picture(picture_of(image)) for image in mnist.test.images[:1000]]).reshape(-1, 784)


@pytest.mark.parametrize("size", [1, 2, 64, 1000])
@pytest.mark.parametrize("form", SAME_PIXELS.values(), ids=SAME_PIXELS.keys())
def test_the_same_pixels_have_the_same_answer_in_every_format(
    server: Server, classifier: keras.Sequential, centred: np.ndarray, form, size: int
) -> None:
    images = centred[:size]
    body, content_type = form(images)
    answer = server.predict(body, content_type)
    assert answer.status_code == 200, answer.text
    if content_type.startswith("multipart"):  # reading them once more moves some by a pixel
        images = np.stack([read_picture(picture_of(each)) for each in images]).reshape(-1, 784)
    assert answer.json() == server.predict(json_of(images)).json()
    expected = probabilities_of(classifier, images)
    assert np.abs(np.array(answer.json()["probabilities"]) - expected).max() <= PARITY_TOLERANCE
    assert answer.json()["digits"] == expected.argmax(axis=1).tolist()


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_picture_is_answered_as_the_pixels_that_it_is_read_as(server: Server, digit: np.ndarray, form: str) -> None:
    picture = picture_of(255 - digit, form)
    answer = server.predict(picture, f"image/{form.lower()}").json()
    assert answer["digits"] == [7]
    assert answer == server.predict(json_of(read_picture(picture)[None])).json()


def test_all_formats_of_the_contract_are_tried_here(centred: np.ndarray) -> None:
    tried = {form(centred[:1])[1].partition(";")[0] for form in SAME_PIXELS.values()}
    assert tried | {"image/png", "image/jpeg"} == set(REQUEST_FORMATS)


@pytest.mark.parametrize("content_type", [each for each in REQUEST_FORMATS if each != "application/json"])
@pytest.mark.parametrize("body", [b"", b"seven", b"\x89PNG\r\n\x1a\n"])
def test_a_bad_body_of_any_format_is_a_400_with_a_sentence(server: Server, content_type: str, body: bytes) -> None:
    answer = server.predict(body, content_type)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert answer.json()["error"].endswith(".")
    assert "send" in answer.json()["error"] or "write it with numpy.save" in answer.json()["error"]


@pytest.mark.parametrize(
    "accept", [BYTES, f"text/html, {BYTES};q=0.9, application/json;q=0.5", "application/json;q=0.1, application/*"]
)
def test_probabilities_come_as_little_endian_float32_to_those_who_accept_bytes(server: Server, mnist: Mnist, accept) -> None:
    images = mnist.test.images[:3]
    answer = server.predict(images.tobytes(), BYTES, accept=accept)
    assert answer.headers["content-type"] == BYTES
    assert answer.headers["x-model-version"] in server.predict(images.tobytes(), BYTES).json()["model"]
    in_json = np.array(server.predict(images.tobytes(), BYTES).json()["probabilities"], np.float32)
    assert np.array_equal(np.frombuffer(answer.content, "<f4").reshape(3, 10), in_json)


@pytest.mark.parametrize(
    "accept",
    ["*/*", "", "text/html", f"application/json, {BYTES};q=0.9", f"{BYTES};q=0", f"*/*;q=0.9, {BYTES};q=0.1"],
)
def test_everyone_else_is_answered_in_json(server: Server, digit: np.ndarray, accept: str) -> None:
    assert server.predict(digit.tobytes(), BYTES, accept=accept).json()["digits"] == [7]


def test_several_lines_of_accept_are_one_list(server: Server, digit: np.ndarray) -> None:
    for lines in (["application/json;q=0.1", BYTES], [BYTES, "application/json;q=0.1"], ["application/json;q=0", "*/*"]):
        headers = [("content-type", BYTES), *(("accept", line) for line in lines)]
        answer = httpx.post(f"{server.url}/predict", content=digit.tobytes(), headers=headers)
        assert answer.headers["content-type"] == BYTES, lines


def test_the_evidence_adds_up_to_the_logit_that_keras_computes(
    server: Server, classifier: keras.Sequential, mnist: Mnist
) -> None:
    images = mnist.test.images[:100]
    answer = server.predict(images.tobytes(), BYTES, "?explain=true").json()
    linear = build("softmax")
    linear.set_weights(classifier.get_weights())
    logits = linear.predict(images, verbose=0)  # pyright: ignore[reportArgumentType]
    for index, evidence in enumerate(answer["evidence"]):
        assert list(evidence) == ["digit", "logit", "bias", "pixels"]
        assert evidence["digit"] == answer["digits"][index]
        assert len(evidence["pixels"]) == 784
        assert abs(sum(evidence["pixels"]) + evidence["bias"] - evidence["logit"]) <= 1e-4
        assert abs(evidence["logit"] - logits[index, evidence["digit"]]) <= 1e-4
        assert not any(share for share, pixel in zip(evidence["pixels"], images[index], strict=True) if not pixel)
    assert "evidence" not in server.predict(images.tobytes(), BYTES, "?explain=false").json()
    assert "evidence" not in server.predict(images.tobytes(), BYTES, "?other=1").json()


def test_evidence_has_no_binary_form(server: Server, digit: np.ndarray) -> None:
    answer = server.predict(digit.tobytes(), BYTES, "?explain=true", accept=BYTES)
    assert answer.status_code == 400
    assert "no room for evidence" in answer.json()["error"]
    assert server.predict(digit.tobytes(), BYTES, "?explain=maybe").status_code == 400


def test_server_timing_says_where_the_time_went(server: Server, digit: np.ndarray) -> None:
    before = scrape(server)
    answer = server.predict(digit.tobytes(), BYTES)
    after = scrape(server)
    timing = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["server-timing"]))
    assert tuple(timing) == STAGES
    for stage, milliseconds in timing.items():
        name = "stage_seconds_total"
        counted = value(after, name, stage=stage) - value(before, name, stage=stage)
        assert float(milliseconds) == pytest.approx(1000 * counted, abs=0.001)


def test_bodies_that_wait_beyond_the_bound_are_a_429_that_says_when_to_come_again(home: Path, mnist: Mnist) -> None:
    with serving(home, MAX_BATCH_IMAGES="8", MAX_BODY_BYTES="6272", MAX_PENDING_BODY_BYTES="62720") as server:
        request = post(mnist.test.images[:8].tobytes(), BYTES)
        answers = answers_in_one_turn(server, request, 50)
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 429}
        assert {answer.headers.get("retry-after") for answer in answers if answer.status == 429} == {"1"}
        series = scrape(server)
        assert value(series, "rejected_total", reason="queue_full") == statuses.count(429)
        assert value(series, "images_total") == 8 * statuses.count(200)
        assert server.predict(mnist.test.images[:8].tobytes(), BYTES).status_code == 200


def answers_in_one_turn(server: Server, request: bytes, count: int) -> list[Answer]:
    """Send `request` over `count` connections while the worker is stopped, so that it finds them all at once."""
    (worker,) = server.workers()
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(Connection(server.address, 30)) for _ in range(count)]
        for connection in connections:  # each is accepted before the worker is stopped
            connection.ask(request_headers("GET", "/livez"))
        os.kill(worker, signal.SIGSTOP)
        for connection in connections:
            connection.send(request)
        os.kill(worker, signal.SIGCONT)
        return [connection.next_answer() for connection in connections]


def test_pages_of_named_origins_alone_may_call_the_service(home: Path, server: Server, digit: np.ndarray) -> None:
    with serving(home, CORS_ORIGINS="https://a.example, https://b.example") as open_server:
        for origin in ("https://a.example", "https://b.example"):
            for body in (digit.tobytes(), digit[:1].tobytes()):
                assert open_server.predict(body, BYTES, origin=origin).headers["access-control-allow-origin"] == origin
            wish = "access-control-request-"
            asked = {"origin": origin, f"{wish}method": "POST", f"{wish}headers": "content-type"}
            preflight = httpx.options(f"{open_server.url}/predict", headers=asked)
            assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, origin)
        elsewhere = open_server.predict(digit.tobytes(), BYTES, origin="https://c.example")
        assert "access-control-allow-origin" not in elsewhere.headers
    assert "access-control-allow-origin" not in server.predict(digit.tobytes(), BYTES, origin="https://a.example").headers


def test_pictures_are_read_beside_the_requests_of_others(server: Server, digit: np.ndarray) -> None:
    picture = encoded(np.kron(digit.reshape(28, 28), np.ones((100, 100), np.uint8)), compress_level=1)
    done = threading.Event()
    answers: list[int] = []

    def read_large_pictures() -> None:
        while not done.is_set():
            answers.append(server.predict(picture, "image/png").status_code)

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
