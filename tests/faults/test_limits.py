"""Each limit one below, at it and one above, by Content-Length, in chunks, and with a length that is a lie."""

import io
import json
import select
import time
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from service.images.opening import MAX_PICTURE_PIXELS
from service.protocols.media_types import BYTES, JSON, MAX_NPY_HEADER_BYTES, MULTIPART, NPY, PNG
from tests.support.bodies import form_of, npy
from tests.support.project import PIXELS, SEVEN, SEVEN_PNG
from tests.support.raw_http import Answer, Connection, chunked, post, request_headers
from tests.support.serving import Server, serving

MAX_BYTES = 2**16
MAX_IMAGES = 8
SECONDS = 1.5


@pytest.fixture(scope="module", params=["reading_home", pytest.param("conv_home", marks=pytest.mark.slow)])
def small(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Return a service with low limits."""
    home = request.getfixturevalue(request.param)
    with serving(
        home, MAX_BODY_BYTES=str(MAX_BYTES), MAX_IMAGES=str(MAX_IMAGES), REQUEST_TIMEOUT_SECONDS=str(SECONDS)
    ) as server:
        yield server


@pytest.fixture(params=["by its length", "in chunks"])
def is_chunked(request: pytest.FixtureRequest) -> bool:
    return request.param == "in chunks"


def answer_to(server: Server, body: bytes, content_type: str, is_chunked: bool) -> Answer:
    """Send `body`, return the answer, and show that the connection still answers a good request."""
    in_chunks = request_headers(Content_Type=content_type, Transfer_Encoding="chunked") + chunked(body, 1000)
    with Connection(server.address) as connection:
        answer = connection.ask(in_chunks if is_chunked else post(body, content_type))
        assert json.loads(connection.ask(post(SEVEN)).content)["digits"] == [7]
    print(f"{len(body):,} bytes of {content_type}: {answer.status} {json.loads(answer.content).get('error', '')}")
    return answer


def padded(size: int) -> bytes:
    return SEVEN.ljust(size)


@pytest.mark.parametrize(("size", "status"), [(MAX_BYTES - 1, 200), (MAX_BYTES, 200), (MAX_BYTES + 1, 413)])
def test_a_body_may_have_as_many_bytes_as_the_limit(small: Server, is_chunked: bool, size: int, status: int) -> None:
    assert answer_to(small, padded(size), JSON, is_chunked).status == status


IMAGES = {
    "flat": (JSON, lambda count: json.dumps({"images": PIXELS.tolist() * count}).encode()),
    "square": (JSON, lambda count: json.dumps({"images": PIXELS.reshape(1, 28, 28).tolist() * count}).encode()),
    "bytes": (BYTES, lambda count: PIXELS.tobytes() * count),
    "npy": (NPY, lambda count: npy(np.repeat(PIXELS, count, axis=0))),
    "multipart": (f"{MULTIPART}; boundary=frontier", lambda count: form_of(*[SEVEN_PNG] * count)),
}


@pytest.mark.parametrize("form", IMAGES)
@pytest.mark.parametrize(("count", "status"), [(MAX_IMAGES - 1, 200), (MAX_IMAGES, 200), (MAX_IMAGES + 1, 413)])
def test_as_many_images_may_come_as_the_limit(small: Server, is_chunked: bool, form: str, count: int, status: int) -> None:
    content_type, body_of = IMAGES[form]
    answer = answer_to(small, body_of(count), content_type, is_chunked)
    assert answer.status == status
    assert status == 413 or json.loads(answer.content)["digits"] == [7] * count


# 1,024 is as deep as simdjson reads; the second reader is Python's own, which counts its recursion.
@pytest.mark.parametrize("depth", [1, 2, 5, 1023, 1024, 1025, 10_000, MAX_BYTES // 2 - 10])
def test_no_depth_but_that_of_images_is_read(small: Server, is_chunked: bool, depth: int) -> None:
    body = b'{"images":' + b"[" * (depth - 1) + b"0" + b"]" * (depth - 1) + b"}"
    assert answer_to(small, body, JSON, is_chunked).status == 400


def npy_with_header_of(size: int) -> bytes:
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 784), }"
    return b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + text.ljust(size - 1) + b"\n" + PIXELS.tobytes()


@pytest.mark.parametrize("size", [MAX_NPY_HEADER_BYTES - 1, MAX_NPY_HEADER_BYTES, MAX_NPY_HEADER_BYTES + 1])
def test_the_header_of_an_array_may_be_as_long_as_the_limit(small: Server, is_chunked: bool, size: int) -> None:
    answer = answer_to(small, npy_with_header_of(size), NPY, is_chunked)
    assert answer.status == (200 if size <= MAX_NPY_HEADER_BYTES else 400)


def png_of(width: int, height: int) -> bytes:
    picture, file = Image.new("1", (width, height)), io.BytesIO()
    picture.paste(1, (width // 2, height // 4, width // 2 + width // 8, height * 3 // 4))
    picture.save(file, "png")
    return file.getvalue()


# One pixel less than 4096 × 4096, that, and one more.
@pytest.mark.parametrize(("width", "height"), [(4095, 4097), (4096, 4096), (97, 172_961)])
def test_a_picture_may_have_as_many_pixels_as_the_limit(small: Server, is_chunked: bool, width: int, height: int) -> None:
    assert abs(width * height - MAX_PICTURE_PIXELS) <= 1
    answer = answer_to(small, png_of(width, height), PNG, is_chunked)
    assert answer.status == (200 if width * height <= MAX_PICTURE_PIXELS else 400)


@pytest.mark.parametrize("size", [MAX_BYTES - 1, MAX_BYTES, MAX_BYTES + 1])
def test_what_is_announced_and_never_comes_is_refused_in_time(small: Server, size: int) -> None:
    started = time.monotonic()
    with Connection(small.address) as connection:
        connection.send(request_headers(Content_Type=JSON, Content_Length=size) + padded(size)[: MAX_BYTES // 2])
        answer = connection.answer()
        assert answer
        seconds = time.monotonic() - started
        print(f"{size:,} bytes announced, half of them sent: {answer.status} after {seconds:.3f} s")
        assert answer.status == (408 if size <= MAX_BYTES else 413)
        assert seconds >= SECONDS if answer.status == 408 else seconds < SECONDS / 2
        connection.send(
            request_headers("GET", "/livez")
        )  # taken for more of the body, or answered by the end of the connection
        assert connection.answer() is None


@pytest.mark.parametrize("size", [MAX_BYTES - 1, MAX_BYTES, MAX_BYTES + 1])
def test_what_comes_beyond_the_announced_length_is_no_part_of_the_body(small: Server, size: int) -> None:
    with Connection(small.address) as connection:
        connection.send(request_headers(Content_Type=JSON, Content_Length=size - 1) + padded(size - 1) + b"\x00")
        answers = [connection.answer(), connection.answer()]
    statuses = [answer.status for answer in answers if answer]
    print(f"{size - 1:,} bytes announced, one more sent: {statuses}")
    # uvicorn says 400 to what follows, at once: the body's own answer may then not come any more.
    assert statuses in ([200, 400], [400])


def test_a_body_without_end_is_refused_while_it_is_sent(small: Server) -> None:
    chunk = b"%x\r\n%s\r\n" % (1000, b" " * 1000)
    with Connection(small.address) as connection:
        connection.send(request_headers(Content_Type=JSON, Transfer_Encoding="chunked"))
        sent = 0
        while not select.select([connection.socket], [], [], 0.001)[0]:
            connection.send(chunk)
            sent += 1000
        answer = connection.answer()
        print(f"{answer and answer.status} after {sent:,} bytes, of which {MAX_BYTES:,} may come")
        assert answer
        assert answer.status == 413
        assert sent <= 2 * MAX_BYTES
        connection.send(chunk + b"0\r\n\r\n" + request_headers("GET", "/livez"))
        after = connection.answer("GET")
        assert after
        assert after.status == 200
