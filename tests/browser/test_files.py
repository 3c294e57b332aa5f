"""Files of many images or labels, cut into what the service takes, and tables made of answers: modules without a document."""

import io
import struct

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.support.bodies import npy, npy_with_header
from tests.support.page import OpenPage
from tests.support.project import ROOT
from tests.support.training import idx_bytes
from training.data import Mnist

READ = """async ([bytes, from, to]) => {
  const { isArray, readArray } = await import("/web/files.js");
  const content = new Uint8Array(bytes);
  if (!isArray(String.fromCharCode(...content.slice(0, 16)))) return null;
  try {
    const { count, labels, imageBytes, body, pixels } = readArray(content);
    if (labels) return { labels };
    const part = body(from, to);
    const sent = [...new Uint8Array(await part.arrayBuffer())];
    return { count, type: part.type, imageBytes, body: sent, first: pixels && [...pixels(0)] };
  } catch (error) {
    return error.message;
  }
}"""


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page("#model")  # of the same origin


def read(page: Page, content: bytes, start: int = 0, stop: int = 1) -> dict:
    return page.evaluate(READ, [list(content), start, stop])


def test_files_know_no_document() -> None:
    for name in ("files", "labels"):
        source = (ROOT / f"service/web/{name}.js").read_text()
        assert not any(word in source for word in ("document.", "window.", "fetch(", "querySelector")), name


TYPES = ["u1", "<i2", "<u2", "<f2", "<i4", "<i8", "<f4", "<f8", ">i2", ">f4", ">f8"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(5, 784), (5, 28, 28), (28, 28)])
def test_npy_files_are_cut_into_rows_whose_type_and_order_stay(
    page: Page, mnist: Mnist, shape: tuple[int, ...], order: str
) -> None:
    digits = mnist.test.images[:5].ravel()[: np.prod(shape)].reshape(shape)
    images = digits.reshape(-1, 28, 28)
    start, stop = (2, 5) if len(images) == 5 else (0, 1)
    for dtype in map(np.dtype, TYPES):
        array = np.asarray(digits, dtype, "F" if order == "F" else "C")
        found = read(page, npy(array), start, stop)
        part = np.load(io.BytesIO(bytes(found["body"])))
        assert (found["count"], found["type"], found["imageBytes"]) == (len(images), "application/x-npy", 784 * dtype.itemsize)
        assert (part.dtype, part.flags.f_contiguous) == (dtype, order == "F")
        np.testing.assert_array_equal(part.reshape(-1, 28, 28), images[start:stop])


def test_pixels_in_order_are_known_as_the_bytes_that_the_service_makes_of_them(page: Page, mnist: Mnist) -> None:
    array = mnist.test.images[:3]
    known = array[0].tolist()
    assert read(page, npy(array))["first"] == known
    assert read(page, idx_bytes(array.reshape(-1, 28, 28)))["first"] == known
    for dtype in set(TYPES) - {"u1", "<f2"}:  # not every browser has numbers of the latter
        assert read(page, npy(array.astype(dtype)))["first"] == known, dtype
    halves = (array.astype("f4") + 0.5).clip(0, 255)
    assert read(page, npy(halves))["first"] == np.rint(halves[0]).tolist()
    assert not read(page, npy(np.asfortranarray(array)))["first"]


def test_idx_files_are_cut_into_bytes(page: Page, mnist: Mnist) -> None:
    array = mnist.test.images[:3]
    found = read(page, idx_bytes(array.reshape(-1, 28, 28)), 1, 3)
    assert (found["count"], found["type"]) == (3, "application/octet-stream")
    assert bytes(found["body"]) == array[1:].tobytes()


def test_labels_are_read_of_any_whole_number(page: Page, mnist: Mnist) -> None:
    for dtype in ("u1", "i1", "<i2", ">i4", "<u4", "<i8", ">i8"):
        assert read(page, npy(mnist.test.labels[:20].astype(dtype))) == {"labels": mnist.test.labels[:20].tolist()}, dtype


def test_labels_are_read_from_idx(page: Page, mnist: Mnist) -> None:
    assert read(page, idx_bytes(mnist.test.labels[:20])) == {"labels": mnist.test.labels[:20].tolist()}


def test_pictures_are_not_taken_for_arrays(page: Page) -> None:
    heic, avif, icon = b"\0\0\0\x18ftypheic\0\0\0\0", b"\0\0\0\x1cftypavif\0\0\0\0", b"\0\0\x01\0\x01\0\x20\x20\0\0\x01\0"
    for start in (b"\x89PNG\r\n\x1a\n", heic, avif, icon):
        assert read(page, start + bytes(100)) is None


REFUSED = [
    (npy(np.zeros((3, 100), np.uint8)), "images of shape (3, 100)"),
    (npy(np.zeros((3, 784), np.complex64)), "a .npy array of type <c8"),
    (npy(np.zeros(3, [("x", "u1")])), "a .npy array of type [(x, |u1)]"),
    (npy_with_header("nonsense"), "a .npy array of type unknown"),
    (npy(np.zeros((3, 784), np.uint8))[:-1], "2351 values, and its header says 3 × 784"),
    (npy(np.zeros((0, 784), np.uint8)), "it holds no images"),
    (npy(np.array([3, 10])), "label 1 is none of 0 to 9"),
    (npy(np.array([3, -1], ">i2")), "label 1 is none of 0 to 9"),
    (npy(np.zeros(3)), "3 labels that are no whole numbers"),
    (npy(np.array(7)), "images of shape ()"),
    (npy(np.zeros(3))[:9], "a .npy file that is cut off"),
    (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + bytes(300_000), "a .npy array of type unknown"),
    (struct.pack(">HBB", 0, 8, 2) + bytes(20), "an IDX file of 2 dimensions"),
    (struct.pack(">HBB", 0, 13, 3) + bytes(20), "an IDX file of 3 dimensions and type 13"),
    (struct.pack(">HBB", 0, 8, 3) + bytes(4), "an IDX file of 3 dimensions"),
    (idx_bytes(np.zeros((2, 28, 28), np.uint8))[:-5], "1563 values, and its header says 2 × 784"),
]


def test_a_file_of_something_else_is_refused_in_words(page: Page) -> None:
    for content, said in REFUSED:
        assert said in read(page, content)


def csv_of(page: Page, rows: list[dict]) -> str:
    return page.evaluate("async (rows) => [...(await import('/web/downloads.js')).toCsv(rows)].join('')", rows)


ROW = {"index": 0, "digit": 7, "confidence": 0.5, "probabilities": [0.05] * 10, "model": "m:1"}


def test_csv_quotes_what_must_be_quoted_and_defuses_formulas(page: Page) -> None:
    table = csv_of(page, [ROW | {"name": 'a "b", c.png'}, ROW | {"name": "=SUM(A1).png"}])
    head, first, second, _ = table.split("\r\n")
    assert head == "file,image,digit,confidence,novelty,accepted,p0,p1,p2,p3,p4,p5,p6,p7,p8,p9,model"
    assert first.startswith('"a ""b"", c.png",0,7,0.5,,,0.05')
    assert second.startswith("'=SUM(A1).png,0,7")


def test_csv_has_labels_where_there_are_some_and_comes_in_pieces(page: Page) -> None:
    rows = [ROW | {"name": "7/a.png", "label": 7}] + [ROW | {"name": "b.png"}] * 4999
    lines = csv_of(page, rows).split("\r\n")
    assert len(lines) == 5002
    assert lines[0].endswith(",model,label")
    assert (lines[1][-6:], lines[2][-5:]) == (",m:1,7", ",m:1,")
    pieces = page.evaluate("async (rows) => [...(await import('/web/downloads.js')).toCsv(rows)].length", rows)
    assert pieces == 4


def test_the_score_counts_what_is_labelled(page: Page) -> None:
    rows = [
        {"digit": digit, "label": label, "accepted": accepted}
        for digit, label, accepted in [(1, 1, True), (7, 1, True), (7, 7, False)]
    ]
    found = page.evaluate(
        "async (rows) => (await import('/web/labels.js')).score(rows)", [*rows, {"digit": 3, "accepted": True}]
    )
    assert (found["images"], found["right"], found["accepted"], found["acceptedRight"]) == (3, 2, 2, 1)
    assert {place for place, count in np.ndenumerate(found["confusion"]) if count} == {(1, 1), (1, 7), (7, 7)}


def test_a_label_is_the_folder_that_a_file_is_in(page: Page) -> None:
    paths = ["7/a.png", "mnist/test/0/b.png", "7.png", "77/c.png", "7/more/d.png"]
    script = "async (paths) => paths.map((await import('/web/labels.js')).labelOf).map((label) => label ?? null)"
    assert page.evaluate(script, paths) == [7, 0, None, None, None]
