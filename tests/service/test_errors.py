"""Bad input, each over real HTTP: the status of the contract and a sentence that helps."""

import json

import httpx
import numpy as np
import pytest

from tests.support.serving import Server

FLAT = [0] * 784
SQUARE = [[0] * 28] * 28


def images(*each: object) -> bytes:
    return json.dumps({"images": each}).encode()


def with_pixel(text: str) -> bytes:
    """Return a request whose second image has `text` as its pixel 5."""
    return b'{"images": [%s, [0, 0, 0, 0, 0, %s%s]]}' % (json.dumps(FLAT).encode(), text.encode(), b", 0" * 778)


HELP = "send 784 (28×28) pixel values from 0 to 255 for each image"

BAD_BODIES = {
    "not JSON": (b"seven", "the body is not JSON"),
    "nothing": (b"", "the body is not JSON"),
    "not UTF-8": (b'{"images": "\xff"}', "not UTF-8 at byte 12"),
    "UTF-16": (json.dumps({"images": [FLAT]}).encode("utf-16"), "not UTF-8"),
    "a byte-order mark": (b"\xef\xbb\xbf" + images(FLAT), "byte-order mark"),
    "trailing garbage": (images(FLAT) + b"}", "Extra data"),
    "two documents": (images(FLAT) * 2, "Extra data"),
    "a list": (json.dumps([FLAT]).encode(), "the body is a list of 1; send an object"),
    "a number": (b"7", "the body is a number"),
    "null": (b"null", "the body is null"),
    "no images": (b'{"image": []}', 'no key "images" (its first key is "image")'),
    "an empty object": (b"{}", 'no key "images"'),
    "another key beside images": (b'{"images": [], "model": "x"}', 'a key "model" that is not known'),
    "duplicate keys": (b'{"images": [], "images": []}', 'the key "images" more than once'),
    "images is null": (b'{"images": null}', '"images" is null'),
    "images is an object": (b'{"images": {}}', '"images" is an object'),
    "images is a string": (b'{"images": "7"}', '"images" is the string "7"'),
    "an empty list": (images(), "an empty list"),
    "a nested empty list": (images([]), "images[0] has 0 values"),
    "a doubly nested empty list": (images([[]]), "images[0] is a list of 1, not 28 rows"),
    "a stray empty list": (images(FLAT, []), "images[1] has 0 values"),
    "a flat list that is not in a list": (json.dumps({"images": FLAT}).encode(), "images[0] is a number"),
    "ragged rows": (images([[0] * 28] * 27 + [[0] * 27]), "images[0][27] has 27 values, not 28"),
    "27 rows": (images([[0] * 28] * 27), "images[0] is a list of 27, not 28 rows"),
    "783 values": (images(FLAT[1:]), "images[0] has 783 values, not 784"),
    "rows of 783 and 785 values": (images(FLAT[1:], [*FLAT, 0]), "images[0] has 783 values"),
    "four of 392 values": (images(*[FLAT[:392]] * 4), "images[0] has 392 values"),
    "28×28×3": (images([[[0] * 3] * 28] * 28), "images[0][0][0] is a list of 3, not a number"),
    "784×1": (images([[0]] * 784), "images[0] is a list of 784, not 28 rows"),
    "flat, then square": (images(FLAT, SQUARE), "images[1][0] is a list of 28, not a number"),
    "square, then flat": (images(SQUARE, FLAT), "images[1] is a list of 784, not 28 rows"),
    "an image that is null": (images(FLAT, None), "images[1] is null"),
    "NaN": (with_pixel("NaN"), "images[1][5] is NaN, not a number"),
    "Infinity": (with_pixel("Infinity"), "images[1][5] is Infinity, not a number"),
    "-Infinity": (with_pixel("-Infinity"), "images[1][5] is -Infinity, not a number"),
    "null as a pixel": (with_pixel("null"), "images[1][5] is null, not a number"),
    "a string as a pixel": (with_pixel('"12"'), 'images[1][5] is the string "12", not a number'),
    "a boolean as a pixel": (with_pixel("true"), "images[1][5] is a boolean, not a number"),
    "-1": (with_pixel("-1"), "images[1][5] is -1;"),
    "256": (with_pixel("256"), "images[1][5] is 256;"),
    "255.000001": (with_pixel("255.000001"), "images[1][5] is 255"),
    "1e400": (with_pixel("1e400"), "images[1][5] is inf;"),
    "10^30": (with_pixel("1" + "0" * 30), "images[1][5] is 1e+30;"),
    "10^5000": (with_pixel("1" + "0" * 5000), "images[1][5] is inf;"),
    "a square's pixel": (images([[0] * 28] * 2 + [[0] * 9 + [300] + [0] * 18] + [[0] * 28] * 25), "images[0][2][9] is 300;"),
    "depth 101 under another key": (b'{"images": [], "x": ' + b"[" * 101 + b"]" * 101 + b"}", 'a key "x"'),
    "depth 100,000": (b"[" * 100_000, "nested too deeply"),
    "a key that is half a surrogate pair": (b'{"\\ud800": 1}', 'its first key is "\\ud800"'),
}


@pytest.mark.parametrize(("body", "sentence"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_bad_body_is_a_400_with_a_sentence(server: Server, body: bytes, sentence: str) -> None:
    answer = server.predict(body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    assert sentence in answer.json()["error"]
    assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize("name", ["783 values", "256", "28×28×3", "784×1", "an empty list"])
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
    assert "803,600 numbers came; send at most 1,024 images" in answer.json()["error"]


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
