"""What bodies made to take memory take: at most 96 MiB above idle, and after some quiet seconds nearly none."""

import contextlib
import gzip
import socket
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.inference.predictor import MAX_OCCLUDED_IMAGES
from service.protocols.media_types import BYTES, JPEG, JSON, MULTIPART, NPY, PNG
from tests.support.bodies import npy
from tests.support.metrics import scrape, value
from tests.support.pictures import chunk, encoded, with_chunks
from tests.support.project import PIXELS, SEVEN
from tests.support.raw_http import Connection, post
from tests.support.serving import Server, serving
from tests.support.waiting import until

MIB = 2**20
MAX_BYTES = 16 * MIB
PEAK_MIB, LEFT_MIB = 96, 8
CONV_MIB = 220
QUIET_SECONDS = 5
AT_ONCE = 8


@pytest.fixture(scope="module")
def warm(reading_home: Path) -> Iterator[Server]:
    """Return a service that has answered one large request of each kind before."""
    with warmed(reading_home) as server:
        yield server


@pytest.fixture(scope="module")
def warm_conv(conv_home: Path) -> Iterator[Server]:
    with warmed(conv_home) as server:
        yield server


@contextlib.contextmanager
def warmed(home: Path) -> Iterator[Server]:
    with serving(home) as server:
        for name in ("the longest numbers", "many keys in 1 MiB", "bytes", "a PNG with a text"):
            send_at_once(server, name, AT_ONCE)
        time.sleep(QUIET_SECONDS)
        yield server


def status_of(server: Server, request: bytes) -> int:
    with Connection(server.address, seconds=60) as connection:
        return connection.ask(request).status


def filled(beginning: bytes, piece: bytes, end: bytes) -> bytes:
    """Return as many of `piece` as MAX_BYTES allow, between `beginning` and `end`."""
    return beginning + piece * ((MAX_BYTES - len(beginning) - len(end)) // len(piece)) + end


def many_images() -> bytes:
    """Return as many images with the longest numbers as fit: 784 times 20 characters for each."""
    image = b"[" + b",".join([b"254.1234567890123456"] * 784) + b"]"
    return b'{"images":[' + b",".join([image] * 1000) + b"]}"


def png_bomb(width: int, height: int, depth: int, colours: int, rows: int | None = None) -> bytes:
    """Return a PNG of zeros, `rows` of them: 1 byte for each 1,000 that it unpacks to."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]
    row = b"\x00" + b"\x00" * ((width * depth * channels + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height if rows is None else rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    palette = chunk(b"PLTE", b"\x00" * 768) if colours == 3 else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """Return a good PNG with a text in it that unpacks to 128 MiB."""
    text = chunk(b"zTXt", b"a\x00\x00" + zlib.compress(b"\x00" * 128 * MIB))
    return with_chunks(encoded(PIXELS.reshape(28, 28)), text)


def jpeg_bomb() -> bytes:
    return encoded(Image.new("CMYK", (4096, 4096)), "JPEG", progressive=True)


def tiny_parts() -> bytes:
    return b"--frontier\r\n\r\n\r\n" * 100_000 + b"--frontier--\r\n"


OCCLUDED = "bytes, as many as are occluded"
FORM = f"{MULTIPART}; boundary=frontier"
BODIES: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "open lists": (lambda: b"[" * MAX_BYTES, JSON, 400),
    "images of open lists": (lambda: filled(b'{"images":', b"[", b""), JSON, 400),
    "closed lists": (lambda: b"[" * (MAX_BYTES // 2) + b"]" * (MAX_BYTES // 2), JSON, 400),
    "open objects": (lambda: filled(b'{"images":', b"{", b""), JSON, 400),
    "quotes": (lambda: filled(b'{"images":', b'"', b""), JSON, 400),
    "colons": (lambda: filled(b'{"images":', b":", b""), JSON, 400),
    "zeros with blanks between": (lambda: filled(b'{"images":[[0', b" 0", b"]]}"), JSON, 400),
    "empty lists": (lambda: filled(b'{"images":[[]', b",[]", b"]}"), JSON, 413),
    "lists of lists": (lambda: filled(b'{"images":[[[[]]]', b",[[[]]]", b"]}"), JSON, 413),
    "zeros": (lambda: filled(b'{"images":[[0', b",0", b"]]}"), JSON, 413),
    "letters": (lambda: filled(b'{"images":["a"', b',"a"', b"]}"), JSON, 413),
    "letters, few enough": (lambda: b'{"images":["a"' + b',"a"' * 802_000 + b"]}", JSON, 400),
    "empty objects": (lambda: b'{"images":[{}' + b",{}" * 802_000 + b"]}", JSON, 400),
    "empty lists, few enough": (lambda: b'{"images":[[]' + b",[]" * 802_000 + b"]}", JSON, 400),
    "lists and a list": (lambda: b'{"images":[[]' + b",[]" * 802_000 + b"]}" + b" " * 12 * MIB, JSON, 400),
    "many keys": (lambda: b"{" + b",".join(b'"%x":0' % n for n in range(802_000)) + b"}", JSON, 400),
    "many keys in 1 MiB": (lambda: (b"{" + b",".join(b'"%x":0' % n for n in range(105_000)) + b"}")[:MIB], JSON, 400),
    "letters in 1 MiB": (lambda: b'{"images":["a"' + b',"a"' * 262_000 + b"]}", JSON, 400),
    "empty objects in 1 MiB": (lambda: b'{"images":[{}' + b",{}" * 349_000 + b"]}", JSON, 400),
    "numbers in 1 MiB": (lambda: b'{"images":[0' + b",0" * 524_000 + b"]}", JSON, 400),
    "one long key": (lambda: filled(b'{"', b"a", b'":0}'), JSON, 400),
    "one long string": (lambda: filled(b'{"images":"', b"\\u0000", b'"}'), JSON, 400),
    "one long number": (lambda: filled(b'{"images":[[', b"9", b"]]}"), JSON, 400),
    "blanks": (lambda: filled(b"", b" ", b"7"), JSON, 400),
    "the longest numbers": (many_images, JSON, 200),
    "the longest numbers, one too large": (lambda: many_images()[:-23] + b"256]]}", JSON, 400),
    "float64": (lambda: npy(np.zeros((1024, 784))), NPY, 200),
    "float64, backwards": (lambda: npy(np.zeros((1024, 784), ">f8", order="F")), NPY, 200),
    "float64, twice too many": (lambda: npy(np.zeros((2048, 784))), NPY, 413),
    "float16, most of them": (lambda: npy(np.zeros((10_000, 784), "f2")), NPY, 413),
    "complex": (lambda: npy(np.zeros((1024, 784), complex)), NPY, 400),
    "a huge header": (lambda: filled(b"\x93NUMPY\x02\x00" + struct.pack("<I", MAX_BYTES - 12), b"(", b""), NPY, 400),
    "bytes": (lambda: PIXELS.tobytes() * 1024, BYTES, 200),
    OCCLUDED: (lambda: PIXELS.tobytes() * MAX_OCCLUDED_IMAGES, BYTES, 200),
    "bytes, as many as fit": (lambda: filled(b"", b"\x00" * 784, b""), BYTES, 413),
    "100,000 tiny parts": (tiny_parts, FORM, 413),
    "1,024 empty parts": (lambda: b"--frontier\r\n\r\n\r\n" * 1024 + b"--frontier--\r\n", FORM, 400),
    "one part of 16 MiB": (lambda: filled(b"--frontier\r\n\r\n", b"\x00", b"\r\n--frontier--\r\n"), FORM, 400),
    "a form without an end": (lambda: filled(b"--frontier\r\nA: ", b"a", b""), FORM, 400),
    "a PNG of 16 megapixels": (lambda: png_bomb(4096, 4096, 8, 0), PNG, 400),
    "a PNG of 16 megapixels, RGBA": (lambda: png_bomb(4096, 4096, 8, 6), PNG, 400),
    "a PNG of 16 megapixels, RGB of 16 bits": (lambda: png_bomb(4096, 4096, 16, 2), PNG, 400),
    "a PNG of 16 megapixels, with a palette": (lambda: png_bomb(4096, 4096, 8, 3), PNG, 400),
    "a PNG that is larger than it says": (lambda: png_bomb(28, 28, 8, 0, rows=10**7), PNG, 400),
    "a PNG with a text": (text_bomb, PNG, 200),
    "a JPEG of 16 megapixels": (jpeg_bomb, JPEG, 400),
}
# The others do not get as far as the model.
ANSWERED = [name for name, (_, _, status) in BODIES.items() if status == 200]


def send_at_once(server: Server, name: str, count: int, target: str = "/predict") -> list[int]:
    """Send the body of that `name` over `count` connections and return the statuses."""
    make, content_type, _ = BODIES[name]
    request = post(make(), content_type, target)
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: status_of(server, request), range(count)))


def watched(server: Server, name: str, count: int, target: str = "/predict") -> list[int]:
    """Send as `send_at_once` does, and check what the service takes for it and keeps."""
    idle = server.memory_kib()
    server.forget_peak()
    statuses = send_at_once(server, name, count, target)
    peak = (server.peak_kib() - idle) / 1024
    left = left_above(server, idle)
    print(f"{name}, {count} at once: at most {peak:.0f} MiB above idle, {left:.1f} after; {sorted(statuses)}")
    assert peak <= PEAK_MIB
    assert left <= LEFT_MIB
    return statuses


def left_above(server: Server, idle: int) -> float:
    """Return how many MiB the service still holds above `idle` once it has given back what it can, or some seconds later."""
    deadline = time.monotonic() + QUIET_SECONDS
    while (left := (server.memory_kib() - idle) / 1024) > LEFT_MIB and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
def test_no_body_takes_much_memory_or_keeps_it(warm: Server, name: str) -> None:
    statuses = watched(warm, name, AT_ONCE)
    assert BODIES[name][2] in statuses
    assert set(statuses) <= {BODIES[name][2], 429}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["the longest numbers", "bytes"])
def test_evidence_for_as_many_images_as_may_come_does_neither(warm: Server, name: str) -> None:
    assert 200 in watched(warm, name, AT_ONCE, "/predict?explain=true")


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERED)
def test_no_body_that_conv_answers_does_either_and_its_worker_stays_small(warm_conv: Server, name: str) -> None:
    explained = "?explain=true" if name == OCCLUDED else ""
    assert set(watched(warm_conv, name, AT_ONCE, f"/predict{explained}")) in ({200}, {200, 429})
    held = warm_conv.memory_kib() / 1024
    print(f"held by the worker: {held:.0f} MiB")
    assert held <= CONV_MIB


@pytest.mark.parametrize("query", ["explain=true", "explain=true&seen=true"])  # 9 MB of answer, and 12
def test_answers_that_are_not_read_take_little_memory_and_are_cut_off(reading_home: Path, query: str) -> None:
    dense = np.random.default_rng(0).integers(1, 256, (1024, 784), np.uint8).tobytes()
    request = post(dense, BYTES, f"/predict?{query}")
    with serving(reading_home, REQUEST_TIMEOUT_SECONDS="2") as server, contextlib.ExitStack() as clients:
        status_of(server, request)
        time.sleep(QUIET_SECONDS)
        idle = server.memory_kib()
        server.forget_peak()
        connections = [clients.enter_context(Connection(server.address)) for _ in range(20)]
        statuses = Counter(begun_answer(connection, request) for connection in connections)
        peak = (server.peak_kib() - idle) / 1024
        until(lambda: value(scrape(server), "unread_answers_total") == statuses[200])
        left, series = left_above(server, idle), scrape(server)
    print(f"{statuses}: at most {peak:.0f} MiB above idle, {left:.1f} after")
    assert set(statuses) == {200, 429}
    assert peak <= PEAK_MIB
    assert left <= LEFT_MIB
    assert [series["digit_classifier_body_bytes_pending", (("size", size),)] for size in ("small", "large")] == [0, 0]
    assert series["digit_classifier_answer_bytes_pending", ()] == 0


def begun_answer(connection: Connection, request: bytes) -> int:
    """Send `request` and read no more of the answer than its status."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
    connection.send(request)
    return int(connection.socket.recv(12)[9:])


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_body_is_refused_without_being_unpacked(server: Server, coding: str) -> None:
    bomb = zlib.compress(b"[" * 128 * MIB, wbits=31 if coding == "gzip" else 15)
    idle = server.memory_kib()
    server.forget_peak()
    statuses = [status_of(server, post(body, Content_Encoding=coding)) for body in (bomb, gzip.compress(SEVEN))]
    rise = (server.peak_kib() - idle) / 1024
    print(f"{coding}: {len(bomb):,} bytes that unpack to 128 MiB: {statuses}, {rise:.1f} MiB above idle")
    assert statuses == [415, 415]
    assert rise <= LEFT_MIB


def test_sixteen_mebibytes_of_brackets_take_little_memory_and_keep_none(server: Server) -> None:
    status_of(server, post(BODIES["the longest numbers"][0]()))
    time.sleep(QUIET_SECONDS)
    assert 400 in watched(server, "open lists", AT_ONCE)
