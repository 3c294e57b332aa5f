"""Real PNGs and JPEGs of MNIST's digits, as senders draw, scan and photograph them."""

import contextlib
import io
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.exported import Graph, load_litert
from service.images.normalisation import read_picture
from service.images.opening import MAX_PICTURE_PIXELS, MAX_PIECES
from service.inference.model_repository import find_version
from tests.conftest import ROOT
from training.data import Mnist

Pixels = NDArray[np.uint8]

ORIENTATION = 0x0112  # EXIF's tag


def encoded(picture: Pixels | Image.Image, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, form, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """Return `png` with `chunks` after its header, which ends at byte 33."""
    return png[:33] + b"".join(chunks) + png[33:]


def header_alone(width: int, height: int) -> bytes:
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def drawn(digit: Pixels, random: np.random.Generator) -> Pixels:
    """Return dark ink on white: the digit ten times as large, anywhere on a canvas of 480×420."""
    large = np.asarray(Image.fromarray(digit).resize((280, 280), Image.Resampling.BICUBIC))
    canvas = np.full((480, 420), 255, np.uint8)
    top, left = random.integers(0, 200), random.integers(0, 140)
    canvas[top : top + 280, left : left + 280] = 255 - large
    return canvas


def on_paper(digit: Pixels, random: np.random.Generator) -> Pixels:
    """Return `drawn` as a camera sees it: light falling off to one side and to the corners, grey ink, noise."""
    paper = drawn(digit, random) / 255
    down, right = np.mgrid[-1 : 1 : paper.shape[0] * 1j, -1 : 1 : paper.shape[1] * 1j]
    angle = random.uniform(0, 2 * np.pi)
    light = 195 + 25 * (np.cos(angle) * right + np.sin(angle) * down) - 12 * (right**2 + down**2)
    seen = light * (1 - 0.6 * (1 - paper)) + random.normal(0, 8, paper.shape)
    return np.clip(seen, 0, 255).astype(np.uint8)


def transparent(digit: Pixels, random: np.random.Generator, ink: tuple[int, int, int] = (20, 30, 90)) -> Image.Image:
    """Return `ink` on a ground that is transparent, and black beneath."""
    alpha = 255 - drawn(digit, random)
    picture = Image.new("RGB", (420, 480))
    picture.paste(ink, mask=Image.fromarray((alpha > 0).astype(np.uint8) * 255))
    picture.putalpha(Image.fromarray(alpha))
    return picture


REQUEST_FORMATS: dict[str, tuple[Callable[[Pixels, np.random.Generator], bytes], float]] = {
    "as it is": (lambda digit, random: encoded(digit), 0.01),
    "inverted": (lambda digit, random: encoded(255 - digit), 0.01),
    "drawn large": (lambda digit, random: encoded(drawn(digit, random)), 0.02),
    "JPEG": (lambda digit, random: encoded(drawn(digit, random), "JPEG", quality=60), 0.02),
    "photographed": (lambda digit, random: encoded(on_paper(digit, random), "JPEG", quality=80), 0.04),
    "chalk on a board": (lambda digit, random: encoded(255 - on_paper(digit, random), "JPEG", quality=80), 0.04),
    "transparent": (lambda digit, random: encoded(transparent(digit, random)), 0.02),
}


@pytest.fixture
def graph(published_store) -> Graph:
    return load_litert(find_version("digit-classifier:latest")[0] / "model.tflite")


def accuracy(graph: Graph, images: Pixels, labels: Pixels) -> float:
    return float((graph(images.reshape(-1, 784).astype(np.float32)).argmax(axis=1) == labels).mean())


@pytest.mark.parametrize("form", REQUEST_FORMATS)
def test_a_digit_is_recognised_in_whatever_form_it_comes(graph, mnist: Mnist, form: str) -> None:
    digits, labels, random = mnist.test.images[:300], mnist.test.labels[:300], np.random.default_rng(0)
    encode, loss = REQUEST_FORMATS[form]
    images = np.stack([read_picture(encode(digit.reshape(28, 28), random)) for digit in digits])
    assert (images.shape, images.dtype) == ((300, 28, 28), np.uint8)
    assert accuracy(graph, images, labels) >= accuracy(graph, digits, labels) - loss


@pytest.fixture
def seven(digit: Pixels) -> Pixels:
    return digit.reshape(28, 28)


def is_like(image: Pixels, other: Pixels) -> bool:
    """Return whether the two are the same but for blur, and a pixel to one side."""
    shifted = [np.roll(image, (down, right), axis=(0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(float(np.corrcoef(each.ravel(), other.ravel())[0, 1]) for each in shifted) > 0.94


def test_a_digit_of_mnist_comes_out_nearly_as_it_went_in(mnist: Mnist) -> None:
    digits = mnist.test.images[:200].reshape(-1, 28, 28)
    for way in (digits, 255 - digits):
        images = np.stack([read_picture(encoded(each)) for each in way])
        difference = np.abs(images.astype(int) - digits).mean(axis=(1, 2))
        assert np.median(difference) < 0.5
        assert (difference < 3).mean() > 0.95


def test_the_answer_has_mnists_form(mnist: Mnist) -> None:
    for each in mnist.test.images[:100].reshape(-1, 28, 28):
        image = read_picture(encoded(on_paper(each, np.random.default_rng(0))))
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        centre = np.average(np.arange(28), weights=image.sum(axis=1)), np.average(np.arange(28), weights=image.sum(axis=0))
        assert max(rows[-1] - rows[0], columns[-1] - columns[0]) < 20
        assert image.max() == 255
        assert centre == pytest.approx((14, 14), abs=0.51)


MODES = {
    "1": lambda picture: picture.convert("1"),
    "L": lambda picture: picture,
    "LA": lambda picture: picture.convert("LA"),
    "RGB": lambda picture: picture.convert("RGB"),
    "RGBA": lambda picture: picture.convert("RGBA"),
    "P": lambda picture: picture.convert("RGB").quantize(16),
    "I;16": lambda picture: Image.fromarray(np.asarray(picture, np.uint16) * 257),
    "I;16 of 10 bits": lambda picture: Image.fromarray(np.asarray(picture, np.uint16) * 4),
}


@pytest.mark.parametrize("mode", MODES)
def test_the_mode_of_a_png_makes_no_difference(seven: Pixels, mode: str) -> None:
    picture = MODES[mode](Image.fromarray(drawn(seven, np.random.default_rng(0))))
    assert is_like(read_picture(encoded(picture)), seven)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_mode_of_a_jpeg_makes_no_difference(seven: Pixels, mode: str, progressive: bool) -> None:
    picture = Image.fromarray(drawn(seven, np.random.default_rng(0))).convert(mode)
    assert is_like(read_picture(encoded(picture, "JPEG", progressive=progressive)), seven)


@pytest.mark.parametrize("grey", [0, 60, 200, 255])
def test_ink_alone_stands_out_from_its_transparent_ground(seven: Pixels, grey: int) -> None:
    picture = transparent(seven, np.random.default_rng(0), (grey, grey, grey))
    assert is_like(read_picture(encoded(picture)), seven)
    assert is_like(read_picture(encoded(picture.convert("LA"))), seven)


def test_transparency_in_a_palette_and_as_one_colour_is_a_ground(seven: Pixels) -> None:
    indices = Image.fromarray((seven > 127).astype(np.uint8))
    indices.putpalette([0, 0, 0, 10, 10, 10])
    for transparency in (0, b"\x00\xff", b"\x40\xff"):
        assert is_like(read_picture(encoded(indices, transparency=transparency)), seven)
    assert is_like(read_picture(encoded(indices.convert("RGB"), transparency=(0, 0, 0))), seven)


def test_a_sheet_with_a_transparent_margin_is_paper(seven: Pixels) -> None:
    sheet = Image.fromarray(drawn(seven, np.random.default_rng(0))).convert("RGBA")
    around = Image.new("RGBA", (700, 700))
    around.paste(sheet, (100, 100))
    assert is_like(read_picture(encoded(around)), seven)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_says(seven: Pixels, form: str, orientation: int) -> None:
    upright = drawn(seven, np.random.default_rng(0))
    # The edges at which the stored picture has the upright one's top and left: EXIF 2.3, table 6.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert is_like(read_picture(encoded(np.ascontiguousarray(stored[orientation]), form, exif=exif)), seven)


def test_a_small_digit_on_a_large_picture_is_found(seven: Pixels) -> None:
    canvas = np.full((3000, 4000), 230, np.uint8)
    canvas[2000:2112, 3500:3612] -= np.asarray(Image.fromarray(seven).resize((112, 112), Image.Resampling.BICUBIC)) // 2
    for form in ("PNG", "JPEG"):
        assert is_like(read_picture(encoded(canvas, form)), seven)


def test_fine_strokes_of_a_large_drawing_are_kept() -> None:
    drawing = np.full((2000, 2000), 255, np.uint8)
    drawing[300:1700, 998:1002] = 0
    drawing[300:304, 600:1400] = 0
    image = read_picture(encoded(drawing))
    assert (image[:, 13:15].max(axis=1) > 127).sum() >= 19
    assert image.max() == 255


@pytest.mark.parametrize("size", [(1, 5), (5, 4), (14, 14)])
def test_a_tiny_picture_is_scaled_up(size: tuple[int, int]) -> None:
    pixels = np.full(np.add(size, 4), 255, np.uint8)
    pixels[2:-2, 2:-2] = 0
    rows, columns = read_picture(encoded(pixels)).any(axis=1).sum(), read_picture(encoded(pixels)).any(axis=0).sum()
    assert max(rows, columns) == 20
    assert rows / columns == pytest.approx(size[0] / size[1], rel=0.1)


def test_light_on_paper_that_is_in_part_in_the_shade_is_not_ink(seven: Pixels) -> None:
    paper = on_paper(seven, np.random.default_rng(0)).astype(float)
    paper[:, 300:] *= 0.75
    assert is_like(read_picture(encoded(paper.astype(np.uint8))), seven)


def noise(spread: float, mean: float = 180) -> Pixels:
    return np.clip(np.random.default_rng(0).normal(mean, spread, (300, 400)), 0, 255).astype(np.uint8)


BLANK = {
    "one pixel": np.zeros((1, 1), np.uint8),
    "black": np.zeros((28, 28), np.uint8),
    "white": np.full((300, 200), 255, np.uint8),
    "faint noise": noise(2),
    "strong noise": noise(60),
    "noise in 28×28": noise(30)[:28, :28],
    "evenly spread noise": np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8),
    "a slope": np.tile(np.linspace(90, 220, 400), (300, 1)).astype(np.uint8),
    "empty paper": on_paper(np.zeros((28, 28), np.uint8), np.random.default_rng(0)),
}


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("name", BLANK)
def test_a_picture_without_ink_is_refused(name: str, form: str) -> None:
    with pytest.raises(ValueError, match=r"the picture is blank: .*; send one digit"):
        read_picture(encoded(BLANK[name], form))


def test_a_picture_that_is_transparent_all_over_is_refused() -> None:
    with pytest.raises(ValueError, match="the picture is blank"):
        read_picture(encoded(Image.new("RGBA", (50, 50), (255, 0, 0, 0))))


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


def test_very_small_pictures_are_read_or_found_blank() -> None:
    random, images = np.random.default_rng(0), []
    for _ in range(500):
        pixels = random.integers(0, random.integers(2, 256), random.integers(1, 7, 2), np.uint8)
        with contextlib.suppress(ValueError):
            images.append(read_picture(encoded(pixels)))
    assert len(images) > 100
    assert all(image.max() == 255 for image in images)


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


def test_pictures_are_read_in_many_threads_at_once(mnist: Mnist) -> None:
    bodies = [encoded(on_paper(each, np.random.default_rng(0)), "JPEG") for each in mnist.test.images[:40].reshape(-1, 28, 28)]
    alone = [read_picture(body) for body in bodies]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(read_picture, bodies * 5))
    assert all(np.array_equal(image, alone[index % 40]) for index, image in enumerate(together))
