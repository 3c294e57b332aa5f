"""The strict reader reads every way to write a good body, and says what is wrong with a bad one and where."""

import json

import numpy as np
import pytest

from models.digits import check_images
from service.protocols.json_strict import read_strictly
from tests.support.bad_bodies import BAD_BODIES, EXAMPLE, FLAT, OBJECT, SQUARE, images


def error_of(body: bytes) -> str:
    with pytest.raises(ValueError, match=r"\.$") as refused:
        read_strictly(body)
    return str(refused.value)


@pytest.mark.parametrize("shape", [(784,), (28, 28)])
def test_good_images_are_read_as_float64_in_their_shape(shape: tuple[int, ...]) -> None:
    expected = np.arange(2 * 784).reshape(2, *shape) / 8
    read = read_strictly(images(*expected.tolist()))
    assert read.dtype == np.float64
    assert np.array_equal(read, expected)


@pytest.mark.parametrize("numbers", [[1, 2, 3], [1, 2.5, 3], [10**400, 0, 0]])
def test_whole_numbers_of_any_length_are_read_as_floats(numbers: list[float]) -> None:
    read = read_strictly(images(numbers + FLAT[3:]))
    assert read[0, :3].tolist() == [float(str(number)) for number in numbers]


@pytest.mark.parametrize(("body", "sentence"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_bad_body_is_refused_with_a_sentence(body: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"\.$") as refused:
        check_images(read_strictly(body))
    assert str(refused.value) == sentence


def test_a_body_of_more_than_a_thousand_keys_is_not_parsed() -> None:
    keys = [b'"%x":0' % number for number in range(1001)]
    assert error_of(b"{" + b",".join(keys)) == "the body has more than 1,000 keys; " + OBJECT
    assert error_of(b"{" + b",".join(keys[:1000]) + b"}") == 'the body has no key "images" (its first key is "0"); ' + OBJECT


def test_the_key_that_is_repeated_is_named_and_not_the_first() -> None:
    assert error_of(b'{"images": [], "b": 1, "b": 2}') == 'the body has the key "b" more than once; send each key once.'


def test_a_repeated_key_of_an_object_within_is_refused_too() -> None:
    assert error_of(b'{"images": [{"a": 1, "a": 2}]}') == 'the body has the key "a" more than once; send each key once.'


def test_the_key_that_is_not_known_is_named_where_it_is_the_first() -> None:
    assert error_of(b'{"model": "x", "images": []}') == 'the body has the unknown key "model"; send "images" alone.'


@pytest.mark.parametrize(("length", "shown"), [(40, "é" * 40), (41, "é" * 40 + "…")])
def test_a_long_text_is_shown_by_its_first_40_characters(length: int, shown: str) -> None:
    text = json.dumps("é" * length).encode()
    assert error_of(text) == f"the body is the string {json.dumps(shown)}; send an object: {EXAMPLE}"


@pytest.mark.parametrize(
    ("image", "kind"),
    [({}, "an object"), (7, "a number"), (False, "a boolean"), (None, "null"), ("", 'the string ""')],
)
def test_what_is_not_a_list_is_named(image: object, kind: str) -> None:
    assert error_of(images(FLAT, image)).startswith(f"images[1] is {kind}, not a list of 784 numbers; send 784 ")
    assert error_of(images(SQUARE, image)).startswith(f"images[1] is {kind}, not 28 rows of 28 numbers; send 784 ")
    assert error_of(images([[0] * 28] * 27 + [image])).startswith(
        f"images[0][27] is {kind}, not a list of 28 numbers; send 784 "
    )
