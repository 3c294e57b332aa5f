"""Photos and scans of a digit, of the kinds that people send, made from a seed; and of an empty sheet."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tests.support.pictures import ORIENTATION, Pixels, drawn, encoded, transparent

Random = np.random.Generator


@dataclass(frozen=True)
class Photo:
    """A file, of which kind it is, and the digit on it; None on an empty sheet."""

    kind: str
    digit: int | None
    content: bytes

    @property
    def name(self) -> str:
        return f"{self.kind} of {self.digit}"


def _jpeg(grey: np.ndarray, random: Random, noise: float = 4.0, **options) -> bytes:
    """Return grey levels 0 to 255 as a camera has them: with its noise, in colour."""
    seen = np.clip(grey + random.normal(0, noise, grey.shape), 0, 255).astype(np.uint8)
    return encoded(Image.fromarray(seen).convert("RGB"), "JPEG", quality=85, **options)


def _ink(digit: Pixels, random: Random) -> np.ndarray:
    """Return how much of each place of a sheet (480, 420) is ink, 0 to 1."""
    return 1 - drawn(digit, random) / 255


def _light(shape: tuple[int, ...], random: Random) -> np.ndarray:
    down, right = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    angle = random.uniform(0, 2 * np.pi)
    return 205 + 22 * (np.cos(angle) * right + np.sin(angle) * down)


def _sheet(ink: np.ndarray, random: Random, darkness: float = 0.75) -> np.ndarray:
    return _light(ink.shape, random) * (1 - darkness * ink)


def _shadow(digit: Pixels, random: Random) -> bytes:
    sheet = _sheet(_ink(digit, random), random)
    edge = (
        np.linspace(-1, 1, sheet.shape[1]) + random.uniform(-0.4, 0.4) + np.linspace(-0.3, 0.3, sheet.shape[0])[:, np.newaxis]
    )
    return _jpeg(sheet * (1 - 0.45 / (1 + np.exp(-edge * 12))), random)


def _noise(digit: Pixels, random: Random) -> bytes:
    return _jpeg(_sheet(_ink(digit, random), random), random, noise=24)


def _pencil(digit: Pixels, random: Random) -> bytes:
    ink = _ink(digit, random)
    return _jpeg(_sheet(ink * random.uniform(0.7, 1, ink.shape), random, darkness=0.35), random)


def _squared(digit: Pixels, random: Random) -> bytes:
    sheet = _sheet(_ink(digit, random), random)
    sheet[random.integers(24) :: 24] -= 28
    sheet[:, random.integers(24) :: 24] -= 28
    return _jpeg(sheet, random)


def _small(digit: Pixels, random: Random) -> bytes:
    ink = np.zeros((1200, 900))
    top, left = random.integers(100, 1000), random.integers(100, 700)
    ink[top : top + 100, left : left + 100] = np.asarray(Image.fromarray(digit).resize((100, 100))) / 255
    return _jpeg(_sheet(ink, random), random)


def _chalk(digit: Pixels, random: Random) -> bytes:
    ink = _ink(digit, random)
    return _jpeg(45 + 165 * ink * random.uniform(0.75, 1, ink.shape), random, noise=7)


def _transparent(digit: Pixels, random: Random) -> bytes:
    return encoded(transparent(digit, random, ink=(255, 255, 255)))


def _turned(digit: Pixels, random: Random) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # shown turned by 90° clockwise
    return _jpeg(np.rot90(_sheet(_ink(digit, random), random)), random, exif=exif)


def _twelve_megapixels(digit: Pixels, random: Random) -> bytes:
    ink = np.zeros((3000, 4000), np.float32)
    ink[800:2200, 1300:2700] = np.asarray(Image.fromarray(digit).resize((1400, 1400), Image.Resampling.BICUBIC)) / 255
    return _jpeg(_sheet(ink, random), random)


def _blank(_digit: Pixels, random: Random) -> bytes:
    return _jpeg(_light((480, 420), random), random)


KINDS: dict[str, Callable[[Pixels, Random], bytes]] = {
    "shadow": _shadow,
    "noise": _noise,
    "pencil": _pencil,
    "squared paper": _squared,
    "small on the sheet": _small,
    "chalk": _chalk,
    "white on transparent": _transparent,
    "turned by EXIF": _turned,
    "12 megapixels": _twelve_megapixels,
    "blank": _blank,
}


def photos(images: Pixels, labels: Pixels, seed: int) -> Iterator[Photo]:
    """Yield six of each kind, of different digits among `images` (N, 784)."""
    random = np.random.default_rng(seed)
    for kind, make in KINDS.items():
        for label in random.choice(10, 6, replace=False):
            place = random.choice(np.flatnonzero(labels == label))
            content = make(images[place].reshape(28, 28), random)
            yield Photo(kind, None if kind == "blank" else int(label), content)
