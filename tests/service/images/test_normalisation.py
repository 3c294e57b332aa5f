"""PNGs and JPEGs of MNIST's digits, as clients draw, scan and photograph them, come out as MNIST has them."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from models.exported import Graph, load_litert
from service.images.normalisation import read_picture
from service.inference.model_loading import find_version
from tests.support.pictures import (
    ORIENTATION,
    Pixels,
    drawn,
    encoded,
    is_like,
    on_paper,
    transparent,
)
from training.data import Mnist

DRAWN: dict[str, tuple[Callable[[Pixels, np.random.Generator], bytes], float]] = {
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
    return load_litert(find_version("digit-classifier:latest")[0])


def accuracy(graph: Graph, images: Pixels, labels: Pixels) -> float:
    return float((graph(images.reshape(-1, 784).astype(np.float32), False).probabilities.argmax(axis=1) == labels).mean())


@pytest.mark.parametrize("form", DRAWN)
def test_a_digit_is_recognised_however_it_is_drawn(graph, mnist: Mnist, form: str) -> None:
    digits, labels, random = mnist.test.images[:300], mnist.test.labels[:300], np.random.default_rng(0)
    encode, loss = DRAWN[form]
    images = np.stack([read_picture(encode(digit.reshape(28, 28), random)) for digit in digits])
    assert (images.shape, images.dtype) == ((300, 28, 28), np.uint8)
    assert accuracy(graph, images, labels) >= accuracy(graph, digits, labels) - loss


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
JPEG_MODES = {"L": MODES["L"], "RGB": MODES["RGB"], "CMYK": lambda picture: picture.convert("CMYK")}


@pytest.mark.parametrize("mode", MODES)
def test_the_mode_of_a_png_makes_no_difference(seven: Pixels, mode: str) -> None:
    picture = MODES[mode](Image.fromarray(drawn(seven, np.random.default_rng(0))))
    assert is_like(read_picture(encoded(picture)), seven)


@pytest.mark.parametrize("mode", JPEG_MODES)
@pytest.mark.parametrize("progressive", [False, True])
def test_the_mode_of_a_jpeg_makes_no_difference(seven: Pixels, mode: str, progressive: bool) -> None:
    picture = Image.fromarray(drawn(seven, np.random.default_rng(0))).convert(mode)
    assert is_like(read_picture(encoded(picture, "JPEG", progressive=progressive)), seven)


@pytest.mark.parametrize("grey", [0, 60, 200, 255])
def test_a_digit_alone_stands_out_from_its_transparent_background(seven: Pixels, grey: int) -> None:
    picture = transparent(seven, np.random.default_rng(0), (grey, grey, grey))
    assert is_like(read_picture(encoded(picture)), seven)
    assert is_like(read_picture(encoded(picture.convert("LA"))), seven)


def test_transparency_in_a_palette_and_as_one_colour_is_a_background(seven: Pixels) -> None:
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


@pytest.mark.parametrize(("form", "mode"), [*(("PNG", mode) for mode in MODES), *(("JPEG", mode) for mode in JPEG_MODES)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_says(seven: Pixels, form: str, mode: str, orientation: int) -> None:
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
    picture = (MODES | JPEG_MODES)[mode](Image.fromarray(np.ascontiguousarray(stored[orientation])))
    assert is_like(read_picture(encoded(picture, form, exif=exif)), seven)


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


def test_paper_that_is_in_part_in_the_shade_is_background(seven: Pixels) -> None:
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
def test_a_picture_without_a_digit_is_refused(name: str, form: str) -> None:
    with pytest.raises(ValueError, match=r"the picture is blank: .*; send one digit"):
        read_picture(encoded(BLANK[name], form))


def test_a_picture_that_is_transparent_all_over_is_refused() -> None:
    with pytest.raises(ValueError, match="the picture is blank"):
        read_picture(encoded(Image.new("RGBA", (50, 50), (255, 0, 0, 0))))


def test_very_small_pictures_are_read_or_found_blank() -> None:
    random, images = np.random.default_rng(0), []
    for _ in range(500):
        pixels = random.integers(0, random.integers(2, 256), random.integers(1, 7, 2), np.uint8)
        with contextlib.suppress(ValueError):
            images.append(read_picture(encoded(pixels)))
    assert len(images) > 100
    assert all(image.max() == 255 for image in images)


def test_pictures_are_read_in_many_threads_at_once(mnist: Mnist) -> None:
    bodies = [encoded(on_paper(each, np.random.default_rng(0)), "JPEG") for each in mnist.test.images[:40].reshape(-1, 28, 28)]
    alone = [read_picture(body) for body in bodies]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(read_picture, bodies * 5))
    assert all(np.array_equal(image, alone[index % 40]) for index, image in enumerate(together))
