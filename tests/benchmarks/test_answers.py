import numpy as np
import orjson
import pytest

from benchmarks.answers import WrongAnswerError, check, read
from benchmarks.scenarios import JSON, RAW

EXPECTED = np.full((2, 10), 0.1, np.float32)


def test_the_right_answer_passes() -> None:
    check(EXPECTED + np.float32(5e-6), EXPECTED)


@pytest.mark.parametrize(
    "wrong",
    [EXPECTED + np.float32(5e-5), EXPECTED[:1], EXPECTED * np.nan, EXPECTED[:, :9]],
    ids=["off", "fewer", "nan", "nine"],
)
def test_a_wrong_answer_fails(wrong: np.ndarray) -> None:
    with pytest.raises(WrongAnswerError):
        check(wrong, EXPECTED)


@pytest.mark.parametrize("document", [{"probabilities": EXPECTED.tolist(), "digits": [0, 0]}, EXPECTED.tolist()])
def test_json_is_read_with_and_without_a_key(document: object) -> None:
    check(read(JSON, orjson.dumps(document), "application/json; charset=utf-8"), EXPECTED)


def test_raw_bytes_are_read_as_little_endian_floats() -> None:
    check(read(RAW, EXPECTED.astype("<f4").tobytes(), "application/octet-stream"), EXPECTED)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [(b'{"error": "no"}', "application/json"), (b"<html>", "application/json"), (b"[]", "text/html")],
)
def test_what_holds_no_probabilities_is_a_wrong_answer(content: bytes, content_type: str) -> None:
    with pytest.raises(WrongAnswerError):
        read(JSON, content, content_type)


def test_json_in_place_of_raw_bytes_is_a_wrong_answer() -> None:
    with pytest.raises(WrongAnswerError, match="not application/octet-stream"):
        read(RAW, orjson.dumps({"probabilities": EXPECTED.tolist()}), "application/json")
