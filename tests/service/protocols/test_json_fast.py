"""The quick proof accepts nothing that the strict reader refuses, and both read the same pixels."""

import json
import logging
import random

import numpy as np
import pytest
import simdjson

from models.digits import check_images
from service.protocols import json_fast as json_images
from service.protocols.json_fast import MAX_STRICT_BYTES, read_json
from service.protocols.json_strict import read_strictly
from tests.support.bad_bodies import BAD_BODIES, PIXELS
from training.data import Mnist


def dumped(images: object) -> bytes:
    return json.dumps({"images": images}).encode()


@pytest.fixture
def only_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(body: bytes) -> None:
        raise AssertionError("the quick proof did not hold")

    monkeypatch.setattr(json_images, "read_strictly", fail)


@pytest.mark.usefixtures("only_quick")
@pytest.mark.parametrize("shape", [(784,), (28, 28)])
@pytest.mark.parametrize("count", [1, 2, 27, 28, 29, 64])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\r\n\t ", " :\n")])
def test_good_bodies_are_read_without_the_strict_reader(mnist: Mnist, shape, count: int, separators) -> None:
    images = mnist.test.images[:count].reshape(-1, *shape)
    body = json.dumps({"images": images.tolist()}, separators=separators).encode()
    read = read_json(body, 1024)
    assert read.dtype == np.float64
    assert np.array_equal(read, images)


@pytest.mark.usefixtures("only_quick")
def test_every_way_to_write_a_number_is_read_quickly() -> None:
    written = ["0", "-0", "-0.0", "255", "254.5", "2.55e2", "2.55E+2", "25500e-2", "1e-400", "0." + "1" * 500]
    body = dumped([[0] * (784 - len(written))]).replace(b"]]", b"," + ",".join(written).encode() + b"]]")
    assert read_json(body, 1024)[0, -len(written) :].tolist() == [float(number) for number in written]


@pytest.mark.parametrize("body", [body for body, _ in BAD_BODIES.values()], ids=BAD_BODIES.keys())
def test_what_the_strict_reader_refuses_the_quick_one_does_not_accept(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\.$") as strict:
        check_images(read_strictly(body))
    with pytest.raises(ValueError, match=r"\.$") as both:
        check_images(read_json(body, 1024))
    assert str(both.value) == str(strict.value)


def outcome(read, body: bytes) -> np.ndarray | str:
    try:
        return read(body)
    except ValueError as error:
        return str(error)


def test_bodies_that_were_cut_or_changed_anywhere_are_judged_as_the_strict_reader_does(mnist: Mnist) -> None:
    generator = random.Random(0)
    whole = [dumped(mnist.test.images[:2].reshape(2, *shape).tolist()) for shape in ((784,), (28, 28))]
    pieces = [b"[", b"]", b",", b" ", b"1", b"-", b"e", b".", b'"', b"{", b"}", b":", b"[]", b"null", b",[]", b"],[", b"\xef"]
    accepted = 0
    for _ in range(3000):
        body = generator.choice(whole)
        start = generator.choice([generator.randrange(len(body)), generator.randrange(20), len(body) - generator.randrange(20)])
        body = body[:start] + generator.choice([*pieces, b""]) + body[start + generator.choice([0, 0, 1, 2]) :]
        expected, read = outcome(read_strictly, body), outcome(lambda body: read_json(body, 1024), body)
        accepted += isinstance(expected, np.ndarray)
        assert np.array_equal(read, expected)
    assert 200 < accepted < 2800


@pytest.mark.parametrize(
    "images",
    [
        [[0] * 783, [0] * 785],
        [[0] * 392] * 4,
        [[0]] * 784,
        [[[0] * 3] * 28] * 28,
        [[*[0] * 782, [], [0, 0]]],
        [[0] * 784, []],
        [[[0] * 28] * 27 + [[0] * 27 + [[0]]]],
        [[[0] * 28] * 26 + [[0] * 27, [0] * 29]],
        [[0] * 784, [[0] * 28] * 28],
    ],
)
def test_a_size_that_fits_proves_no_shape(images: list) -> None:
    with pytest.raises(ValueError, match="images"):
        read_json(dumped(images), 1024)


def large(images: list) -> bytes:
    """Return a body of more than 1 MiB that has `images` behind 1,000 good ones of the same form."""
    good = [200.125] * 784 if not isinstance(images[0], list) or len(images[0]) != 28 else [[200.125] * 28] * 28
    body = dumped([good, *images])
    first = json.dumps(good).encode()
    body = body.replace(first, b", ".join([first] * 1000), 1)
    assert len(body) > MAX_STRICT_BYTES
    return body


@pytest.mark.usefixtures("only_quick")
@pytest.mark.parametrize(
    "bad",
    [
        [0] * 783,
        [*[0] * 783, None],
        [*[0] * 783, True],
        [*[0] * 783, "1"],
        [*[0] * 782, [], [0, 0]],
        [],
        None,
        7,
        {"0": 1},
        [[0] * 28] * 27 + [[0] * 27],
        [[0] * 28] * 27 + [[[0] * 28]],
    ],
)
def test_a_large_bad_body_names_its_image_without_the_strict_reader(bad: object) -> None:
    with pytest.raises(ValueError, match=r"^images\[1000\] is not 28 rows of 28 or 784 numbers; send 784 "):
        read_json(large([bad]), 1024)


def not_json(reason: str) -> str:
    return f"the body is not JSON, or has a number that is not finite ({reason}); {PIXELS}"


NO_IMAGES = 'the body is not one object with the key "images" alone, in UTF-8; ' + PIXELS


@pytest.mark.usefixtures("only_quick")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda body: body + b"}", not_json("TAPE_ERROR")),
        (lambda body: body.replace(b"200.125", b"1e400", 1), not_json("NUMBER_ERROR")),
        (lambda body: body.replace(b"200.125", b"NaN", 1), not_json("TAPE_ERROR")),
        (lambda body: b"\xef\xbb\xbf" + body, NO_IMAGES),
        (lambda body: body[:-1] + b',"images":[]}', NO_IMAGES),
        (lambda body: body[:-1] + b',"more":1}', NO_IMAGES),
        (lambda body: body.replace(b"images", b"image"), NO_IMAGES),
        (lambda body: b'{"images": "%s"}' % body.translate(None, b'"'), NO_IMAGES),
        (lambda body: body.removeprefix(b'{"images": ').removesuffix(b"}"), NO_IMAGES),
        (lambda body: body.replace(b"200.125", b"\xff", 1), not_json("'utf-8' codec can't decode bytes in position 0-0")),
    ],
)
def test_a_large_body_that_is_wrong_as_a_whole_is_told_so(change, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"\.$") as refused:
        read_json(change(large([[0] * 784])), 1024)
    assert str(refused.value) == sentence


@pytest.mark.usefixtures("only_quick")
@pytest.mark.parametrize(
    "images", [[[0] * 784, [[0] * 28] * 28], [[[0] * 28] * 28, [0] * 784], [[[0] * 28] * 28, "x" * 28, None]]
)
def test_a_large_body_of_two_forms_names_the_first_image_of_the_other_form(images: list) -> None:
    with pytest.raises(ValueError, match=r"^images\[1001\] is not 28 rows of 28 or 784 numbers; send 784 "):
        read_json(large(images), 1024)


@pytest.mark.usefixtures("only_quick")
@pytest.mark.parametrize("first", [None, 7, "x" * 28, {}, []])
def test_a_large_body_whose_first_image_is_not_one_names_it(first: object) -> None:
    body = large([[0] * 784]).replace(b"[[", b"[" + json.dumps(first).encode() + b", [", 1)
    with pytest.raises(ValueError, match=r"^images\[0\] is not 28 rows of 28 or 784 numbers; send 784 .* for each image\.$"):
        read_json(body, 1024)


def test_a_bad_body_of_up_to_1_mib_has_its_pixel_named() -> None:
    bad = dumped([[0] * 783 + [None]])
    with pytest.raises(ValueError, match=r"^images\[0\]\[783\] is null, not a number; "):
        read_json(bad.ljust(2**20), 1024)
    with pytest.raises(ValueError, match=r"^images\[0\] is not 28 rows of 28 or 784 numbers; "):
        read_json(bad.ljust(2**20 + 1), 1024)


@pytest.mark.parametrize("end", [b"", b"}"])
def test_a_large_bad_body_is_parsed_once(monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    parsed = []

    class Counted(simdjson.Parser):
        def parse(self, *arguments, **options):
            parsed.append(arguments)
            return super().parse(*arguments, **options)

    monkeypatch.setattr(simdjson, "Parser", Counted)
    with pytest.raises(ValueError, match="send 784"):
        read_json(large([None]) + end, 1024)
    assert len(parsed) == 1


def test_a_kept_traceback_of_a_bad_body_does_not_hinder_the_next(mnist: Mnist) -> None:
    kept = []
    for body in (b'{"images": [[1, null]]}', large([None])):
        try:
            read_json(body, 1024)
        except ValueError as error:
            logging.getLogger(__name__).info("refused", exc_info=error)
            kept.append(error)
        assert np.array_equal(read_json(dumped(mnist.test.images[:1].tolist()), 1024), mnist.test.images[:1])
    assert len(kept) == 2


def test_a_body_of_a_thousand_keys_is_refused_before_there_is_an_object_for_each() -> None:
    body = b"{" + b",".join(b'"%x":0' % number for number in range(1001)) + b"}"
    with pytest.raises(ValueError, match="more than 1,000 keys"):
        read_json(body, 1024)
