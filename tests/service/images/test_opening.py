"""Pictures that are refused when they are opened, and what one may contain and is read all the same."""

import struct
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from service.images.normalisation import read_picture
from service.images.opening import MAX_HEADER_BYTES, MAX_PICTURE_PIXELS, MAX_PIECES
from tests.support.pictures import Pixels, chunk, drawn, encoded, header_alone, with_chunks
from tests.support.project import ROOT


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO"])
def test_what_is_neither_png_nor_jpeg_is_refused(seven: Pixels, form: str) -> None:
    with pytest.raises(ValueError, match=r"the picture starts with .*, as neither PNG nor JPEG does; send one PNG or JPEG"):
        read_picture(encoded(seven, form))


@pytest.mark.parametrize("body", [b"<svg/>", b'{"images": []}', b"\x89PNG", b"\xff\xd8"])
def test_what_is_no_picture_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="as neither PNG nor JPEG does"):
        read_picture(body)


def test_an_empty_body_is_refused() -> None:
    with pytest.raises(ValueError, match="the picture is empty; send one PNG or JPEG"):
        read_picture(b"")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "progressive JPEG"])
def test_a_picture_that_is_cut_short_is_refused_wherever_it_is_cut(seven: Pixels, form: str) -> None:
    progressive = {"progressive": True} if form.startswith("progressive") else {}
    body = encoded(drawn(seven, np.random.default_rng(0)), form.split()[-1], **progressive)
    for length in range(10, len(body) - 12, len(body) // 40):
        with pytest.raises(ValueError, match=r"the picture is broken or truncated: .*; save it again"):
            read_picture(body[:length])


def test_a_png_whose_bytes_were_changed_is_refused_wherever_it_was(seven: Pixels) -> None:
    body = encoded(drawn(seven, np.random.default_rng(0)))
    for place in range(16, len(body) - 12, len(body) // 60):
        with pytest.raises(ValueError, match="the picture"):
            read_picture(body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :])


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_any_damage_is_a_refusal_and_never_another_error(seven: Pixels, form: str) -> None:
    body, random = encoded(drawn(seven, np.random.default_rng(0)), form, exif=Image.Exif()), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(body)
        for place in random.integers(8, min(len(body), 700), 3):
            damaged[place] = random.integers(0, 256)
        try:
            assert read_picture(bytes(damaged)).shape == (28, 28)
        except ValueError:
            refused += 1
    assert refused > 30


def test_an_animated_picture_is_refused(seven: Pixels) -> None:
    frames = [Image.fromarray(255 - seven), Image.fromarray(seven)]
    with pytest.raises(ValueError, match=r"animated \(2 frames\); send a still picture"):
        read_picture(encoded(frames[0], save_all=True, append_images=frames[1:]))


@pytest.mark.parametrize("size", [(4097, 4096), (2**31 - 1, 1), (100_000, 100_000)])
def test_too_many_pixels_are_refused_before_any_is_decoded(size: tuple[int, int]) -> None:
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"{size[0]:,}×{size[1]:,} pixels; send at most 16,777,216"):
        read_picture(header_alone(*size))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_picture_of_exactly_as_many_pixels_as_allowed_is_read() -> None:
    picture = Image.new("1", (4096, MAX_PICTURE_PIXELS // 4096), 1)
    picture.paste(0, (1000, 1000, 1400, 3000))
    assert read_picture(encoded(picture)).any()


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_or_profile_that_would_unpack_to_far_more_is_passed_over(seven: Pixels, name: bytes) -> None:
    packed = zlib.compress(bytes(2**20))
    data = {b"zTXt": b"k\0\0" + packed, b"iTXt": b"k\0\1\0\0\0" + packed, b"iCCP": b"k\0\0" + packed}[name]
    png = encoded(255 - seven)
    bomb = with_chunks(png, *[chunk(name, data)] * 60)
    tracemalloc.start()
    image = read_picture(bomb)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert np.array_equal(image, read_picture(png))


@pytest.mark.parametrize("name", [b"prVt", b"IDAT"])
def test_a_png_in_very_many_pieces_is_refused(seven: Pixels, name: bytes) -> None:
    with pytest.raises(ValueError, match="it consists of more than 50,000 pieces"):
        read_picture(with_chunks(encoded(seven), *[chunk(name, b"")] * MAX_PIECES))


def test_a_jpeg_in_very_many_pieces_is_refused(seven: Pixels) -> None:
    jpeg = encoded(seven, "JPEG")
    with pytest.raises(ValueError, match="it consists of more than 50,000 pieces"):
        read_picture(jpeg[:2] + b"\xff" + bytes(MAX_PIECES) + jpeg[2:])


@pytest.mark.parametrize("name", [b"eXIf", b"PLTE", b"tRNS"])
def test_a_long_header_of_a_png_is_refused(seven: Pixels, name: bytes) -> None:
    body = with_chunks(encoded(seven), chunk(name, bytes(MAX_HEADER_BYTES)))
    with pytest.raises(ValueError, match="its header has more than 1,048,576 bytes"):
        read_picture(body)


def test_a_long_header_of_a_jpeg_is_refused(seven: Pixels) -> None:
    jpeg = encoded(seven, "JPEG")
    segment = b"\xff\xe2" + struct.pack(">H", 65_535) + b"ICC_PROFILE\0" + bytes(65_521)
    assert read_picture(jpeg[:2] + segment * 15 + jpeg[2:]).any()
    with pytest.raises(ValueError, match="its header has more than 1,048,576 bytes"):
        read_picture(jpeg[:2] + segment * 16 + jpeg[2:])


def test_idat_chunks_that_are_not_consecutive_are_refused(seven: Pixels) -> None:
    png = encoded(seven)
    empty = chunk(b"IDAT", b"")
    assert np.array_equal(read_picture(with_chunks(png, empty)), read_picture(png))
    with pytest.raises(ValueError, match="its IDAT chunks are not consecutive"):
        read_picture(with_chunks(png, empty, chunk(b"tEXt", b"k\0")))


def test_nothing_is_written_to_stderr_about_a_senders_file(seven: Pixels) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x01\x0e\0\x02\0\xff\0\0\0\0\0\0"
    odd = {
        "a bomb": header_alone(20_000, 5_000),
        "no frames": with_chunks(encoded(255 - seven), chunk(b"acTL", bytes(8))),
        "EXIF": encoded(255 - seven, "JPEG", exif=exif),
        "palette": encoded(Image.fromarray(255 - seven).convert("P"), transparency=bytes(range(255, 55, -1))),
    }
    code = """
import sys
from service.images.normalisation import read_picture
try:
    read_picture(sys.stdin.buffer.read())
except ValueError:
    pass
"""
    for body in odd.values():
        finished = subprocess.run([sys.executable, "-W", "always", "-c", code], input=body, cwd=ROOT, capture_output=True)
        assert (finished.returncode, finished.stderr) == (0, b"")
