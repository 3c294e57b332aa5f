"""The scans and segments of a JPEG that count, and what cameras and phones add to a photo that does not."""

import struct

import numpy as np
import pytest
from PIL import Image

from service.images.normalisation import read_picture
from service.images.opening import MAX_JPEG_SCANS, MAX_PIECES
from tests.support.pictures import Pixels, drawn, encoded, is_like

START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
MANY_STARTS = START_OF_SCAN * 1000
MANY_SCANS = "more than 50,000 segments or more than 50 scans; save it again as a baseline JPEG or as PNG"


@pytest.fixture
def drawing(seven: Pixels) -> Image.Image:
    return Image.fromarray(drawn(seven, np.random.default_rng(0)))


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def film_of(jpeg: bytes) -> bytes:
    """Return what a phone appends to a motion photo: an MP4 file, in which any two bytes occur."""
    return jpeg + struct.pack(">I", 24) + b"ftypmp42" + bytes(12) + MANY_STARTS + END_OF_IMAGE


EMBEDDED = {
    "a film": film_of,
    "a preview in its EXIF": lambda jpeg: jpeg[:2] + segment(0xE1, b"Exif\0\0" + MANY_STARTS) + jpeg[2:],
    "a comment": lambda jpeg: jpeg[:2] + segment(0xFE, MANY_STARTS) + jpeg[2:],
    "a comment between scans": lambda jpeg: jpeg[:-2] + segment(0xFE, MANY_STARTS) + jpeg[-2:],
    "everything": lambda jpeg: film_of(
        jpeg[:2] + segment(0xE1, MANY_STARTS) + jpeg[2:-2] + segment(0xFE, MANY_STARTS) + jpeg[-2:]
    ),
}


@pytest.mark.parametrize("added", EMBEDDED)
@pytest.mark.parametrize("form", [{}, {"progressive": True}, {"restart_marker_rows": 1, "progressive": True}], ids=str)
def test_a_jpeg_that_only_holds_the_bytes_of_many_scans_is_read_like_any_other(drawing, seven, form: dict, added: str) -> None:
    jpeg = encoded(drawing, "JPEG", **form)
    image = read_picture(EMBEDDED[added](jpeg))
    assert np.array_equal(image, read_picture(jpeg))
    assert is_like(image, seven)


def test_a_photo_with_a_preview_and_a_film_behind_it_is_read(drawing, seven: Pixels) -> None:
    photo = encoded(drawing, "MPO", save_all=True, append_images=[Image.new("L", (50, 50), 255)])
    assert is_like(read_picture(photo), seven)
    assert is_like(read_picture(film_of(photo)), seven)


def last_scan_of(jpeg: bytes) -> bytes:
    return jpeg[jpeg.rindex(START_OF_SCAN) : -2]


def in_separate_scans(drawing: Image.Image, repeated: int) -> bytes:
    """Return a baseline JPEG that has the scan of its first component `repeated` times, before those of the others."""
    jpeg = encoded(drawing.convert("RGB"), "JPEG", subsampling=0)

    def scan(component: int, table: int) -> bytes:
        return segment(0xDA, bytes((1, component, table, 0, 63, 0)))

    return jpeg[: jpeg.rindex(START_OF_SCAN)] + scan(1, 0) * repeated + scan(2, 0x11) + scan(3, 0x11) + END_OF_IMAGE


MANY_TIMES = {
    "progressive": lambda jpeg: jpeg[:-2] + last_scan_of(jpeg) * MAX_JPEG_SCANS + jpeg[-2:],
    "with comments between": lambda jpeg: (
        jpeg[:-2] + (segment(0xFE, END_OF_IMAGE) + last_scan_of(jpeg)) * MAX_JPEG_SCANS + jpeg[-2:]
    ),
    "behind what is no segment": lambda jpeg: jpeg[:-2] + b"\xff\x02\xff\xff" + last_scan_of(jpeg) * MAX_JPEG_SCANS + jpeg[-2:],
    "with fill bytes": lambda jpeg: jpeg[:-2] + (b"\xff" * 70_000 + last_scan_of(jpeg)) * MAX_JPEG_SCANS + jpeg[-2:],
    "segments alone": lambda jpeg: jpeg[:-2] + segment(0xFE, b"") * (MAX_PIECES + 1) + jpeg[-2:],
}


@pytest.mark.parametrize("many", MANY_TIMES)
def test_a_jpeg_of_very_many_scans_is_refused(seven: Pixels, many: str) -> None:
    jpeg = encoded(seven, "JPEG", progressive=True)
    with pytest.raises(ValueError, match=MANY_SCANS):
        read_picture(MANY_TIMES[many](jpeg))


def test_scans_of_a_baseline_jpeg_are_counted_too(drawing) -> None:
    with pytest.raises(ValueError, match="the picture is blank"):  # as its scans without data are: all of them were read
        read_picture(in_separate_scans(drawing, MAX_JPEG_SCANS - 2))
    with pytest.raises(ValueError, match=MANY_SCANS):
        read_picture(in_separate_scans(drawing, MAX_JPEG_SCANS - 1))
