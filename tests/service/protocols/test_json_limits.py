"""A JSON body with more in it than the most images have is refused before it is parsed."""

import pytest

from service.errors import ApiError
from service.protocols.json_fast import read_json
from tests.support.bad_bodies import PIXELS

NUMBERS = 2 * 784  # of the two images that are allowed here
DENSE_BYTES = 6 * 2**20


def numbers_without_end(count: int) -> bytes:
    return b'{"images": [' + b"0," * (count - 1) + b"0"


def error_of(body: bytes) -> str:
    with pytest.raises(ValueError, match=r"\.$") as refused:
        read_json(body, 2)
    return str(refused.value)


@pytest.mark.parametrize(
    ("count", "received"),
    [
        (2 * 784 + 1, "1,569 numbers (2 images have 1,568)"),
        (3 * 784 - 1, "2,351 numbers (2 images have 1,568)"),
        (3 * 784, "3 images (2,352 numbers)"),
        (2000 * 784, "2,000 images (1,568,000 numbers)"),
    ],
)
def test_more_images_than_allowed_are_refused_before_they_are_parsed(count: int, received: str) -> None:
    with pytest.raises(ApiError) as refusal:
        read_json(numbers_without_end(count), 2)
    assert (refusal.value.status, refusal.value.reason) == (413, "too_many_images")
    assert str(refusal.value) == f"{received} received; send at most 2 images in one request."


def test_thousands_of_images_are_written_with_commas() -> None:
    with pytest.raises(ApiError) as refusal:
        read_json(numbers_without_end(1024 * 784 + 1), 1024)
    assert str(refusal.value).startswith("802,817 numbers (1,024 images have 802,816) received; ")


def test_as_many_numbers_as_allowed_are_parsed() -> None:
    assert error_of(numbers_without_end(NUMBERS)).startswith("the body is not JSON")


def test_numbers_are_counted_from_the_size_on_that_too_many_must_have() -> None:
    with pytest.raises(ApiError):
        read_json(b"," * (2 * NUMBERS), 2)
    assert error_of(b"," * (2 * NUMBERS - 1)).startswith("the body is not JSON")


def filled(start: bytes, size: int = DENSE_BYTES + 1) -> bytes:
    """Return `start` with a number behind it that takes all the rest of `size`."""
    return start.ljust(size, b"0")


@pytest.mark.parametrize("token", [b"[", b"{", b'"', b":"])
def test_a_large_body_of_more_tokens_than_numbers_is_refused_before_it_is_parsed(token: bytes) -> None:
    assert error_of(filled(token * (NUMBERS + 1))) == (
        f"the body has the character {token.decode()} more than 1,568 times; {PIXELS}"
    )
    assert error_of(filled(token * NUMBERS)).startswith("the body is not JSON")
    assert error_of(filled(token * (NUMBERS + 1), DENSE_BYTES)).startswith("the body is not JSON")


@pytest.mark.parametrize("space", [b" ", b"\t", b"\r", b"\n", b" \n"])
def test_a_large_body_of_more_white_space_than_numbers_have_is_refused_before_it_is_parsed(space: bytes) -> None:
    gap = space + b"0"
    assert error_of(filled(gap * (3 * NUMBERS + 1))) == f"the body has more white space than numbers to separate; {PIXELS}"
    assert error_of(filled(gap * (3 * NUMBERS))).startswith("the body is not JSON")
