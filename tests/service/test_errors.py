"""Bad input, each over real HTTP: the status of the contract and a sentence that helps."""

import httpx
import numpy as np
import pytest

from service.errors import CLIENT_LEFT, ApiError, deadline_exceeded, too_many_images, too_many_requests, unavailable
from tests.support.bad_bodies import BAD_BODIES, FLAT, images
from tests.support.serving import Server

HELP = "send 784 (28×28) pixel values from 0 to 255 for each image"


@pytest.mark.parametrize(("body", "sentence"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_bad_body_is_a_400_with_a_sentence(server: Server, body: bytes, sentence: str) -> None:
    answer = server.predict(body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"] == sentence
    assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize("name", ["783 values", "256", "28x28x3", "784x1", "an empty list"])
def test_a_refusal_says_what_to_send_instead(server: Server, name: str) -> None:
    assert HELP in server.predict(BAD_BODIES[name][0]).json()["error"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "image/gif", "nonsense", "a" * 500]
)
def test_another_media_type_is_a_415_that_names_those_that_are_read(server: Server, content_type: str) -> None:
    answer = server.predict(images(FLAT), content_type)
    assert answer.status_code == 415
    assert content_type[:80] in answer.json()["error"]
    assert "application/json" in answer.json()["error"]
    assert len(answer.content) < 300


def test_no_media_type_is_a_415(server: Server) -> None:
    answer = server.predict(images(FLAT), None)
    assert answer.status_code == 415
    assert "no Content-Type" in answer.json()["error"]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON ;x=y"])
def test_json_is_read_with_parameters_and_in_any_case(server: Server, content_type: str) -> None:
    assert server.predict(images(FLAT), content_type).status_code == 200


def test_one_image_above_the_limit_is_a_413(server: Server) -> None:
    assert server.predict(images(*[FLAT] * 1024)).status_code == 200
    answer = server.predict(images(*[FLAT] * 1025))
    assert answer.status_code == 413
    assert answer.json()["error"] == "1,025 images (803,600 numbers) received; send at most 1,024 images in one request."


@pytest.mark.parametrize("chunked", [False, True])
def test_one_byte_above_the_limit_is_a_413(server: Server, chunked: bool) -> None:
    limit = 16 * 2**20
    body = images(FLAT)

    def answer_to(size: int) -> httpx.Response:
        padded = body + b" " * (size - len(body))
        return server.predict(iter([padded[: 2**20], padded[2**20 :]]) if chunked else padded)  # pyright: ignore[reportArgumentType]

    assert answer_to(limit).status_code == 200
    too_large = answer_to(limit + 1)
    assert too_large.status_code == 413
    assert f"send at most {limit:,}" in too_large.json()["error"]


def test_a_path_that_is_not_there_is_a_404_that_says_where_to_go(server: Server) -> None:
    answer = httpx.get(f"{server.url}/predictions")
    assert (answer.status_code, list(answer.json())) == (404, ["error"])
    assert "there is no /predictions; send images to POST /predict" in answer.json()["error"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_another_method_is_a_405_that_names_the_right_one(server: Server, method: str) -> None:
    answer = httpx.request(method, f"{server.url}/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert f"does not take {method}; use POST" in answer.json()["error"]


def test_a_bad_request_does_not_harm_the_next_and_leaves_no_traceback_in_the_log(server: Server, digit: np.ndarray) -> None:
    for body, _ in BAD_BODIES.values():
        server.predict(body)
        good = server.predict(images(digit.tolist()))
        assert (good.status_code, good.json()["digits"]) == (200, [7])
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("status", [400, 401, 408, 413, 429, 504])
def test_an_error_has_its_status_for_bentoml_too_and_no_headers_of_its_own(status: int) -> None:
    error = ApiError(status, "malformed", "the body is not JSON.")
    assert (error.status, error.error_code, error.reason, str(error)) == (status, status, "malformed", "the body is not JSON.")
    assert error.headers == {}


def test_the_status_of_a_client_that_left_which_bentoml_does_not_know_is_400_for_it() -> None:
    error = ApiError(CLIENT_LEFT, "client_left", "the client left.")
    assert (error.status, error.error_code) == (499, 400)


def test_an_overload_says_what_is_full_and_when_to_send_it_again() -> None:
    for seconds in (1, 17):
        error = too_many_requests("the queue is full", seconds)
        assert (error.status, error.reason, error.headers) == (429, "queue_full", {"Retry-After": str(seconds)})
        assert str(error) == f"Overloaded: the queue is full; retry after {seconds} s."


def test_a_worker_that_does_not_serve_says_where_else_to_go_and_when_to_come_again() -> None:
    error = unavailable("draining", "this worker is stopping; send requests to another one", 5)
    assert (error.status, error.reason, error.headers) == (503, "draining", {"Retry-After": "5"})
    assert str(error) == "this worker is stopping; send requests to another one, or retry after 5 s."


def test_too_many_images_are_told_how_many_may_be_sent() -> None:
    error = too_many_images("1,025 images", 1024)
    assert (error.status, error.reason, error.headers) == (413, "too_many_images", {})
    assert str(error) == "1,025 images received; send at most 1,024 images in one request."


@pytest.mark.parametrize(("seconds", "written"), [(10, "10"), (0.5, "0.5")])
def test_a_deadline_is_told_in_seconds(seconds: float, written: str) -> None:
    error = deadline_exceeded(seconds, 3)
    assert (error.status, error.reason, error.headers) == (504, "deadline_exceeded", {"Retry-After": "3"})
    assert str(error) == f"there was no answer within {written} s; send fewer images at a time, or retry after 3 s."
