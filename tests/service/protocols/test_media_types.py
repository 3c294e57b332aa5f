"""Bodies that are not JSON, read in process: `.npy`, bytes, multipart; and what their headers may not do."""

import io
import re
import tracemalloc

import numpy as np
import pytest

from models.digits import EXPECTED, check_images
from service.errors import ApiError
from service.protocols.media_types import BYTES, JPEG, MULTIPART, NPY, PNG, REQUEST_FORMATS, decode, request_format
from tests.support.bodies import npy, npy_with_header
from tests.support.project import ROOT, SEVEN_PNG
from training.data import Mnist


def read(media_type: str, body: bytes, parameters: str = "") -> np.ndarray:
    return decode(REQUEST_FORMATS[media_type], body, media_type + parameters, 1024, lambda: True)


def refusal(media_type: str, body: bytes, parameters: str = "") -> str:
    with pytest.raises(ApiError) as refused:
        read(media_type, body, parameters)
    assert (refused.value.status, refused.value.reason) == (400, "malformed")
    return str(refused.value)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<i4", ">i8", "<f2", ">f4", "<f4", "<f8", ">f8", "<f16"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(3, 784), (3, 28, 28)])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_arrays_of_any_real_type_and_order_are_read(mnist: Mnist, dtype: str, order, shape, version) -> None:
    images = mnist.test.images[:3]
    body = npy(np.asarray(images.reshape(shape), dtype, order=order), version)
    assert np.array_equal(read(NPY, body), images)


def test_one_array_of_28_by_28_is_one_image(mnist: Mnist) -> None:
    assert np.array_equal(read(NPY, npy(mnist.test.images[0].reshape(28, 28))), mnist.test.images[:1])


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.array([{}] * 784, object)[None], "of type object"),
        (np.zeros((1, 784), bool), "of type bool"),
        (np.zeros((1, 784), complex), "of type complex128"),
        (np.zeros((1, 784), "M8[s]"), "of type datetime64"),
        (np.zeros((1, 784), "U1"), "of type <U1"),
        (np.zeros(784, [("a", "u1")])[None], "of type"),
        (np.zeros(784), r"shape \(784,\)"),
        (np.float64(7), r"shape \(1,\)"),
        (np.zeros((0, 784)), "images is empty"),
        (np.zeros((1, 783)), r"shape \(1, 783\)"),
        (np.zeros((1, 28, 28, 1)), r"shape \(1, 28, 28, 1\)"),
        (np.full((1, 784), np.nan), r"images\[0\]\[0\] is nan"),
        (np.full((1, 784), -1), r"images\[0\]\[0\] is -1"),
        (np.full((1, 28, 28), 256), r"images\[0\]\[0\]\[0\] is 256"),
    ],
)
def test_an_array_that_holds_no_images_is_refused(array: np.ndarray, sentence: str) -> None:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    with pytest.raises(ApiError, match=sentence):
        read(NPY, file.getvalue())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        b"PK\x03\x04 an npz archive",
        npy(np.zeros((1, 784)))[:60],
        npy_with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 784)", b"\0" * 784),
        npy_with_header("{'descr': '|u1', 'fortran_order': False}", b"\0" * 784),
        npy_with_header("{'descr': '|u1', 'fortran_order': 7, 'shape': (1, 784)}", b"\0" * 784),
        npy_with_header("{'descr': 'nonsense', 'fortran_order': False, 'shape': (1, 784)}", b"\0" * 784),
        npy_with_header("__import__('os').abort()", b"\0" * 784),
        npy_with_header("(" * 900, b"\0" * 784),
        npy_with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 784)}" + " " * 10_000, b"\0" * 784),
        npy_with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 784)}", b"\0" * 784, b"\x03\x00"),
    ],
)
def test_what_is_no_npy_file_is_refused(body: bytes) -> None:
    assert "not a .npy array" in refusal(NPY, body)


@pytest.mark.parametrize("shape", ["(10**9, 784)", "(2, 784)", "(0, 784)", "(-1, 784)", "(-1, -784)", "(1, 392)"])
def test_a_header_that_lies_about_its_size_is_refused_and_allocates_nothing(shape: str) -> None:
    tracemalloc.start()
    shape = shape.replace("10**9", "1000000000")
    said = refusal(NPY, npy_with_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}", b"\0" * 6272))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "but 6,272 bytes follow it" in said
    assert peak < 2**20


@pytest.mark.parametrize("size", [0, 1, 783, 785, 784 * 3 - 1])
def test_bytes_that_are_not_whole_images_are_refused(size: int) -> None:
    assert f"the body has {size:,} bytes, not N × 784" in refusal(BYTES, bytes(size))


def test_more_images_than_may_come_are_refused_in_every_form(mnist: Mnist) -> None:
    images = np.repeat(mnist.test.images[:1], 1025, axis=0)
    for media_type, body in ((BYTES, images.tobytes()), (NPY, npy(images))):
        with pytest.raises(ApiError, match=r"1,025 images received; send at most 1,024") as refused:
            read(media_type, body)
        assert (refused.value.status, refused.value.reason) == (413, "too_many_images")


def form(*parts: bytes, boundary: bytes = b"x", end: bytes = b"--x--\r\n") -> bytes:
    head = (
        b'--%s\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n' % boundary
    )
    return b"".join(head + part + b"\r\n" for part in parts) + end


@pytest.mark.parametrize(
    ("body", "parameters", "sentence"),
    [
        (form(b""), "", "has no boundary"),
        (form(b""), "; boundary=", "has no boundary"),
        (form(b""), "; boundary=" + "x" * 1000, "cannot be read"),
        (form(b""), "; boundary=y", "cannot be read"),
        (b"nonsense", "; boundary=x", "cannot be read"),
        (b"", "; boundary=x", "ends before its closing boundary"),
        (form(), "; boundary=x", "no parts"),
        (form(b"\x89PNG", end=b""), "; boundary=x", "ends before its closing boundary"),
        (form(b"seven"), "; boundary=x", "part 0: "),
        (form(b""), "; boundary=x", "part 0: "),
    ],
)
def test_a_form_that_is_not_one_is_refused(body: bytes, parameters: str, sentence: str) -> None:
    assert sentence in refusal(MULTIPART, body, parameters)


def test_a_form_of_too_many_parts_is_refused_before_a_picture_is_read() -> None:
    with pytest.raises(ApiError, match=r"more than 1,024 parts received; send at most 1,024 images") as refused:
        read(MULTIPART, form(*[b"no picture"] * 1025), "; boundary=x")
    assert refused.value.status == 413


def test_a_media_type_is_known_whatever_its_case_and_parameters() -> None:
    assert request_format("IMAGE/PNG ; q=1") is REQUEST_FORMATS[PNG]


def test_what_is_read_is_checked_in_one_place(monkeypatch: pytest.MonkeyPatch, mnist: Mnist) -> None:
    seen = []
    monkeypatch.setattr(
        "service.protocols.media_types.check_images", lambda images: seen.append(images) or check_images(images)
    )
    read(BYTES, mnist.test.images[:1].tobytes())
    read(NPY, npy(mnist.test.images[:1]))
    assert len(seen) == 2


def test_pictures_that_nobody_waits_for_any_more_are_not_read() -> None:
    seen, picture = iter((True, True, False)), (ROOT / "examples" / "seven.png").read_bytes()
    form = b"".join(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n%b\r\n' % picture for _ in range(5)) + b"--x--\r\n"
    with pytest.raises(
        ApiError, match=r"2 of 5 pictures were read in time; send fewer at a time, or retry after 1 s\."
    ) as error:
        decode(REQUEST_FORMATS[MULTIPART], form, f"{MULTIPART}; boundary=x", 1024, lambda: next(seen))
    assert (error.value.status, error.value.reason) == (504, "deadline_exceeded")
    assert error.value.headers == {"Retry-After": "1"}


LIE = "the header says (2, 784) of float64, but 6,272 bytes follow it; write the file with numpy.save and send all of it."
SENTENCES = {
    "bytes": (BYTES, bytes(1785), "the body has 1,785 bytes, not N × 784; send one unsigned byte for each pixel."),
    "a type": (NPY, npy(np.zeros((1, 784), bool)), f"the array is of type bool, not of real numbers; {EXPECTED}."),
    "a lie": (NPY, npy_with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 784)}", bytes(6272)), LIE),
    "a version": (
        NPY,
        b"\x93NUMPY\x03\x00",
        "the body is not a .npy array (version (3, 0) is not supported); write it with numpy.save.",
    ),
    "no boundary": (
        MULTIPART,
        b"",
        "the Content-Type has no boundary; send multipart/form-data; boundary=… as HTTP clients do.",
    ),
    "no parts": (f"{MULTIPART}; boundary=x", form(), "the form has no parts; send one PNG or JPEG in each part."),
    "no end": (f"{MULTIPART}; boundary=x", b"", "the form ends before its closing boundary; send all of it."),
}


@pytest.mark.parametrize(("content_type", "body", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_a_body_that_is_refused_is_told_what_was_received_and_what_to_send(
    content_type: str, body: bytes, sentence: str
) -> None:
    media_type, _, parameters = content_type.partition(";")
    assert refusal(media_type, body, f";{parameters}") == sentence


def test_what_a_library_says_of_a_body_is_cut_and_stands_within_our_own_words() -> None:
    of_numpy = refusal(NPY, npy_with_header("{'descr': '|u1', 'shape': (1, 784), '" + "x" * 300 + "': 0}"))
    assert re.fullmatch(r"the body is not a \.npy array \(.{100}\); write it with numpy\.save\.", of_numpy)
    of_the_parser = refusal(MULTIPART, b"nonsense", "; boundary=x")
    assert of_the_parser.startswith("the form cannot be read (")
    assert of_the_parser.endswith("); send multipart/form-data as HTTP clients do.")


@pytest.mark.parametrize(
    ("content_type", "received"),
    [
        ("text/plain; charset=utf-8", "Content-Type is text/plain"),
        ("a" * 500, f"Content-Type is {'a' * 80}"),
        ("", "the request has no Content-Type"),
        (" ; boundary=x", "the request has no Content-Type"),
    ],
)
def test_another_media_type_is_told_which_are_read(content_type: str, received: str) -> None:
    with pytest.raises(ApiError) as refused:
        request_format(content_type)
    assert (refused.value.status, refused.value.reason) == (415, "media_type")
    assert str(refused.value) == f"{received}; send one of: {', '.join(REQUEST_FORMATS)}."


def test_pictures_alone_are_read_in_a_thread() -> None:
    assert {name for name, each in REQUEST_FORMATS.items() if each.is_slow} == {PNG, JPEG, MULTIPART}


def test_as_many_images_as_may_be_sent_are_read(mnist: Mnist) -> None:
    assert read(BYTES, np.repeat(mnist.test.images[:1], 1024, axis=0).tobytes()).shape == (1024, 784)


def test_pictures_alone_and_in_a_form_are_read_in_order() -> None:
    alone, both = read(PNG, SEVEN_PNG), form(SEVEN_PNG, SEVEN_PNG)
    assert alone.shape == (1, 784)
    assert np.array_equal(read(MULTIPART, both, "; boundary=x"), np.concatenate([alone, alone]))
