"""PNGs and JPEGs of digits as clients draw, scan and photograph them, and PNGs put together by hand."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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


def is_like(image: Pixels, other: Pixels) -> bool:
    """Return whether the two are the same but for blur, and a pixel to one side."""
    shifted = [np.roll(image, (down, right), axis=(0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(float(np.corrcoef(each.ravel(), other.ravel())[0, 1]) for each in shifted) > 0.94
