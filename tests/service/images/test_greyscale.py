"""What a picture takes while it is decoded: worst cases by format, measured in a process of their own."""

import json
import os
import struct
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from service.images.greyscale import MAX_DECODED_BYTES, SMALL_DECODED_BYTES, greyscale
from service.images.normalisation import read_picture
from service.process.memory import limit_arenas
from service.protocols.media_types import JPEG, MULTIPART, PNG, decode, request_format
from tests.support.pictures import ORIENTATION, Pixels, chunk, encoded, header_alone, with_chunks
from tests.support.project import ROOT
from tests.support.serving import Server

MIB = 2**20
# EXIF with nothing but the orientation 6: big endian, one entry of one 16-bit number.
TURNED = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", ORIENTATION, 3, 1, 6, 0) + bytes(4)
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
# The upper left corners of Adam7's passes, and the steps across and down.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def empty_png(width: int, height: int, colour: int, depth: int = 8, is_interlaced: bool = False, before: bytes = b"") -> bytes:
    """Return a PNG of zeros, `before` in front of its pixels: what takes a sender few bytes and its reader many."""
    passes = ADAM7 if is_interlaced else ((0, 0, 1, 1),)
    num_bytes = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        num_bytes += rows * (1 + -(-columns * CHANNELS[colour] * depth // 8)) if columns > 0 else 0
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, is_interlaced))
    pixels = chunk(b"IDAT", zlib.compress(bytes(num_bytes), 1))
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + chunk(b"IEND", b"")


def empty_jpeg(mode: str, width: int, height: int, **options) -> bytes:
    return encoded(Image.new(mode, (width, height)), "JPEG", **options)


def scanned(mode: str, size: tuple[int, int], form: str = "PNG") -> bytes:
    picture = Image.new(mode, size, "white")
    picture.paste("black", (1000, 1000, 1200, 2000))
    return encoded(picture, form)


WORST: dict[str, Callable[[], bytes]] = {
    "grey": lambda: empty_png(4096, 4096, GREY),
    "grey of 16 bits": lambda: empty_png(4096, 4096, GREY, 16, True),
    "palette with transparency": lambda: empty_png(
        4096, 4096, PALETTE, before=chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(256))
    ),
    "A4, one colour transparent": lambda: empty_png(2480, 3508, RGB, before=chunk(b"tRNS", bytes(6))),
    "grey with alpha": lambda: empty_png(2480, 3508, GREY_ALPHA),
    "RGBA of 16 bits": lambda: empty_png(3000, 3140, RGBA, 16, True),
    "narrow RGBA": lambda: empty_png(890, 8800, RGBA, 16),
    "narrow RGBA, turned": lambda: empty_png(890, 8800, RGBA, before=chunk(b"eXIf", TURNED)),
    "one pixel wide": lambda: empty_png(1, 1_600_000, GREY),
    "one pixel high": lambda: empty_png(1_800_000, 1, RGBA, 16),
    "narrow grey, turned": lambda: empty_jpeg("L", 890, 18_800, exif=b"Exif\0\0" + TURNED),
    "progressive, 12 megapixels": lambda: empty_jpeg("RGB", 4032, 3024, progressive=True),
    "CMYK": lambda: empty_jpeg("CMYK", 3264, 2448),
    "wide": lambda: empty_jpeg("RGB", 65_500, 100, progressive=True, subsampling=2),
}

MEASURE = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from service.process.memory import keep_freed_memory
from service.images.normalisation import read_picture

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

def read(body):
    try:
        read_picture(body)
    except ValueError as error:
        assert "blank" in str(error), error

keep_freed_memory()
small, *bodies = [bytes.fromhex(each) for each in json.load(sys.stdin)]
read(small)
open("/proc/self/clear_refs", "w").write("5")  # VmHWM begins anew
before = peak()
with ThreadPoolExecutor(8) as threads:
    list(threads.map(read, bodies))
print(peak() - before)
"""


def taken(bodies: list[bytes]) -> int:
    """Return by how many bytes the peak of a process that reads `bodies` in eight threads is above what it had before."""
    given = json.dumps([body.hex() for body in (encoded(np.zeros((28, 28), np.uint8), "JPEG"), *bodies)])
    environment = dict(os.environ)
    limit_arenas(environment)
    finished = subprocess.run(
        [sys.executable, "-c", MEASURE], input=given, env=environment, text=True, cwd=ROOT, capture_output=True
    )
    assert finished.returncode == 0, finished.stderr
    return int(finished.stdout)


@pytest.mark.parametrize("name", WORST)
def test_no_picture_takes_much_more_than_it_may(name: str) -> None:
    num_bytes = taken([WORST[name]()])
    print(f"{name}: {num_bytes / MIB:.1f} MiB")
    assert num_bytes < MAX_DECODED_BYTES + 4 * MIB


@pytest.mark.parametrize(
    "body",
    [
        lambda: empty_png(4096, 4096, RGB),
        lambda: empty_png(4096, 4096, RGBA, 16, True),
        lambda: empty_png(1, 2**24, GREY),
        lambda: empty_jpeg("RGB", 4032, 3024, progressive=True, subsampling=0),
    ],
)
def test_a_picture_that_would_take_more_is_refused_before_it_is_decoded(body: Callable[[], bytes]) -> None:
    given = body()
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"takes [\d,]+ bytes to decode, more than 40,894,464; send a smaller copy"):
        read_picture(given)
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()


def test_a_photo_and_a_scan_are_read() -> None:
    for body in (scanned("RGB", (2480, 3508)), scanned("RGB", (4032, 3024), "JPEG"), scanned("L", (4096, 4096))):
        assert read_picture(body).max() == 255


def test_many_of_the_worst_pictures_at_once_take_as_much_as_one() -> None:
    bodies = [worst() for worst in WORST.values()]
    num_bytes = taken(bodies * 3)
    print(f"{3 * len(bodies)} pictures in eight threads: {num_bytes / MIB:.1f} MiB")
    assert num_bytes < MAX_DECODED_BYTES + 16 * MIB


def test_small_pictures_do_not_wait_for_large_ones(seven: Pixels) -> None:
    large, small = scanned("RGB", (2480, 3508)), encoded(seven)
    with ThreadPoolExecutor(2) as threads, greyscale(large):
        waiting = threads.submit(read_picture, large)
        assert threads.submit(read_picture, small).result(30).any()
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
    assert waiting.result().any()


def test_a_large_picture_whose_client_left_while_it_waited_is_not_decoded() -> None:
    large, client_left = scanned("RGB", (2480, 3508)), threading.Event()
    with ThreadPoolExecutor(1) as threads, greyscale(large):
        waiting = threads.submit(read_picture, large, lambda: not client_left.is_set())
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        client_left.set()
    assert isinstance(waiting.exception(), TimeoutError)


@pytest.mark.parametrize("media_type", [PNG, JPEG])
def test_a_picture_that_nobody_waits_for_is_not_decoded(seven: Pixels, media_type: str) -> None:
    with pytest.raises(TimeoutError):
        decode(request_format(media_type), encoded(seven), media_type, 1, lambda: False)


def test_a_cameras_photo_is_small() -> None:
    with greyscale(scanned("L", (4032, 3024), "JPEG")) as grey:
        assert grey.width * grey.height < SMALL_DECODED_BYTES


def test_a_large_picture_that_is_broken_does_not_hold_up_the_next() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            read_picture(header_alone(4000, 4000))


def test_an_orientation_behind_the_pixels_of_a_png_counts(seven: Pixels) -> None:
    png, exif = encoded(np.rot90(seven)), chunk(b"eXIf", TURNED)
    behind = png[:-12] + exif + png[-12:]
    assert np.array_equal(read_picture(behind), read_picture(with_chunks(png, exif)))
    assert not np.array_equal(read_picture(behind), read_picture(png))


def test_a_large_body_is_read_without_a_copy_of_it(seven: Pixels) -> None:
    long = with_chunks(encoded(seven), chunk(b"tEXt", bytes(8 * MIB)))
    film = encoded(seven, "JPEG") + bytes(8 * MIB)
    both = form([long, film])
    tracemalloc.start()
    assert decode(request_format(MULTIPART), both, f"{MULTIPART}; boundary=x", 2, lambda: True).any()
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()


def form(bodies: list[bytes]) -> bytes:
    return b"".join(b"--x\r\n\r\n" + body + b"\r\n" for body in bodies) + b"--x--\r\n"


FLOODS: dict[str, tuple[Callable[[], bytes], str]] = {
    "pictures": (WORST["RGBA of 16 bits"], PNG),
    "progressive JPEGs": (WORST["progressive, 12 megapixels"], JPEG),
    "forms of many": (lambda: form([worst() for worst in WORST.values()]), f"{MULTIPART}; boundary=x"),
}


@pytest.mark.parametrize("name", FLOODS)
def test_whatever_pictures_arrive_at_once_the_service_takes_at_most_96_mib_more(server: Server, name: str) -> None:
    body, media_type = FLOODS[name][0](), FLOODS[name][1]
    server.predict(encoded(np.zeros((28, 28), np.uint8)), PNG)
    server.forget_peak()
    before = server.memory_kib()
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: server.predict(body, media_type), range(24)))
    more = (server.peak_kib() - before) / 1024
    print(f"{name}: {more:.0f} MiB more; {Counter(answer.status_code for answer in answers)}")
    assert any("blank" in answer.text for answer in answers)
    assert more < 96
