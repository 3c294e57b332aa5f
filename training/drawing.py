"""Drawn images in the form of MNIST's: printed characters and scribbles."""

import string
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps

from models.digits import IMAGE_SHAPE, MAX_PIXEL, NUM_PIXELS
from models.mnist_form import in_mnist_form

# Of the fonts that matplotlib brings along, those that have digits and letters in their usual places.
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-BoldOblique", "-Oblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-BoldOblique", "-Oblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-BoldItalic", "-Italic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "BolIta", "Italic")),
    *(f"cm{style}10" for style in ("b", "r", "ss", "ti", "tt")),
)
# Without what is a digit to anybody: O, o, I and l, and upright or slanting lines.
LETTERS = "".join(sorted(set(string.ascii_letters) - set("OoIl")))
PUNCTUATION = "".join(sorted(set(string.punctuation) - set("|/\\'`")))

_FONT_PIXELS = 128  # several for each of the 20 that a digit is high in MNIST
_STROKE_CHANGE = 5  # odd; of these pixels, of which the strokes of a regular font are 10 to 15 wide
_CORNER_CUTS = 3  # each doubles the corners of a line and makes them blunter


Stroke = Literal["regular", "thick", "thin"]
STROKES = get_args(Stroke)


def printed(characters: str, stroke: Stroke = "regular") -> NDArray[np.uint8]:
    """Return `characters` in each of `FONTS`, font by font: uint8 (fonts × characters, 784).

    Thick and thin strokes are a pixel wider or narrower than the font's, in pixels of the result.
    """
    fonts = (ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", f"{name}.ttf"), _FONT_PIXELS) for name in FONTS)
    return np.stack([_glyph(font, character, stroke) for font in fonts for character in characters])


def _glyph(font: ImageFont.FreeTypeFont, character: str, stroke: Stroke) -> NDArray[np.uint8]:
    canvas = Image.new("L", (3 * _FONT_PIXELS, 3 * _FONT_PIXELS))
    ImageDraw.Draw(canvas).text((_FONT_PIXELS, _FONT_PIXELS), character, MAX_PIXEL, font)
    glyph = ImageOps.expand(canvas.crop(canvas.getbbox()), _STROKE_CHANGE)
    return normalised(_CHANGES[stroke](glyph))


def _thinner(glyph: Image.Image) -> Image.Image:
    eroded = glyph.filter(ImageFilter.MinFilter(_STROKE_CHANGE))
    # Lines that are finer than what is taken away stay as they are: an opening, which is without them, shows where.
    return ImageChops.lighter(eroded, ImageChops.subtract(glyph, eroded.filter(ImageFilter.MaxFilter(_STROKE_CHANGE))))


_CHANGES = {
    "regular": lambda glyph: glyph,
    "thick": lambda glyph: glyph.filter(ImageFilter.MaxFilter(_STROKE_CHANGE)),
    "thin": _thinner,
}


def normalised(picture: Image.Image) -> NDArray[np.uint8]:
    """Return what is on the dark background of `picture`, of mode L, as uint8 (784,) in MNIST's form."""
    return in_mnist_form(np.asarray(picture.crop(picture.getbbox()), np.float32)).reshape(NUM_PIXELS)


def scribbles(count: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return uint8 (`count`, 784): curved lines through 10 to 20 points anywhere, as wide as MNIST's strokes are."""
    return np.stack([normalised(line(_curve(random), random.uniform(1.2, 2.6))) for _ in range(count)])


def _curve(random: np.random.Generator) -> NDArray[np.float64]:
    """Return the points of a curve in 28×28, by cutting corners (Chaikin 1974, Computer Graphics and Image Processing 3)."""
    points = random.uniform(2, 26, (random.integers(10, 21), 2))
    for _ in range(_CORNER_CUTS):
        before, after = points[:-1], points[1:]
        points = np.stack((0.75 * before + 0.25 * after, 0.25 * before + 0.75 * after), axis=1).reshape(-1, 2)
    return points


def line(points: NDArray[np.float64], width: float) -> Image.Image:
    """Draw a line through `points` (column, row), `width` pixels wide, into 28×28: light on dark, with soft edges."""
    fine = 4
    canvas = Image.new("L", (fine * IMAGE_SHAPE[1], fine * IMAGE_SHAPE[0]))
    ImageDraw.Draw(canvas).line((fine * points).ravel().tolist(), MAX_PIXEL, round(fine * width), "curve")
    return canvas.reduce(fine)
