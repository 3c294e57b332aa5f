"""Batch: what each kind of file becomes, what is said of those that cannot be answered, labels, and the service's limits."""

import gzip
import io
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from models.digits import EXPECTED
from tests.support.batch import answered, choose, digits_in_order, file, files_of, png, problems
from tests.support.bodies import npy
from tests.support.page import DROP, OpenPage
from tests.support.pictures import encoded
from tests.support.serving import Server, serving
from tests.support.training import idx_bytes
from training.data import Mnist

KEY = "a-key-of-the-tests"
UNREADABLE = "this browser cannot read; PNG and JPEG are sure to work."


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page("#batch", expected="400 (Bad Request)")


def test_arrays_of_every_type_and_order_are_answered_as_the_service_answers_them(page: Page, mnist: Mnist) -> None:
    images = mnist.test.images[:40]
    arrays = [
        images.astype("<i2"),
        images.astype(">u2"),
        images.astype("<f2"),
        np.asfortranarray(images.reshape(-1, 28, 28).astype(">f4")),
    ]
    choose(page, *(file(f"{place}.npy", npy(array)) for place, array in enumerate(arrays)))
    answered(page, 160)
    assert problems(page) == []
    assert (np.reshape(digits_in_order(page), (-1, 40)) == mnist.test.labels[:40]).mean() > 0.9


@pytest.mark.parametrize(
    ("form", "dtype"), [("scaled.npy", "f4"), ("scaled.npy", ">f8"), ("inverted.npy", "u1"), ("inverted.idx", "u1")]
)
def test_the_hint_of_the_service_is_shown(page: Page, mnist: Mnist, form: str, dtype: str) -> None:
    images = mnist.test.images[:20].reshape(-1, 28, 28)
    array = (images / 255 if form.startswith("scaled") else 255 - images).astype(dtype)
    choose(page, file(form, npy(array) if form.endswith("npy") else idx_bytes(array)))
    answered(page, 20)
    said = "as if they had been scaled already" if form.startswith("scaled") else "send 255 - value"
    expect(page.locator("#batch-hint")).to_contain_text(said)
    expect(page.locator("#batch-hint")).to_contain_text(form)
    choose(page, *files_of(mnist.test.images[:1]))
    answered(page, 1)
    expect(page.locator("#batch-hint")).to_be_hidden()


def test_gzip_is_unpacked_whatever_its_name(page: Page, mnist: Mnist) -> None:
    images = mnist.test.images[:5]
    choose(page, file("a.gz", gzip.compress(npy(images))), file("b", gzip.compress(idx_bytes(images.reshape(-1, 28, 28)))))
    answered(page, 10)
    assert digits_in_order(page) == 2 * mnist.test.labels[:5].tolist()


def test_what_the_browser_can_read_and_the_service_cannot_is_sent_as_png(page: Page, mnist: Mnist) -> None:
    picture = Image.open(io.BytesIO(png(mnist.test.images[0])))
    files = [file(f"seven.{form}", encoded(picture, form)) for form in ("AVIF", "WEBP", "ICO", "GIF", "BMP")]
    choose(page, *files)
    answered(page, 5)
    assert problems(page) == []
    assert digits_in_order(page) == [7] * 5


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(200), f"a HEIC photo, which {UNREADABLE}"),
        ("a.avif", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + bytes(200), f"an AVIF picture, which {UNREADABLE}"),
        ("a.ico", b"\0\0\x01\0\x01\0" + bytes(200), f"an icon, which {UNREADABLE}"),
        ("a.txt", b"hello", "no picture that this browser can read; PNG and JPEG are sure to work."),
        ("a.npy.gz", gzip.compress(bytes(5000), mtime=0)[:-9], "its gzip is damaged or cut off; compress it again."),
        (
            "a.png.gz",
            gzip.compress(png(np.zeros(784, np.uint8)), mtime=0),
            "a gzip of neither IDX nor .npy; send pictures as they are.",
        ),
        ("a.npy", npy(np.full((2, 784), 256.0)), f"images[0][0] is 256; {EXPECTED}."),
    ],
)
def test_what_cannot_be_answered_is_told_in_a_sentence(page: Page, name: str, content: bytes, said: str) -> None:
    choose(page, file(name, content))
    answered(page, 0)
    assert problems(page) == [f"{name}: {said}"]
    expect(page.locator("#progress")).to_have_text("0 answered. One file was not answered.")


def test_a_bad_value_is_named_by_its_place_in_the_whole_file(page: Page, mnist: Mnist) -> None:
    images = mnist.test.images[:2500].astype("f4")
    images[2100, 5] = 300
    choose(page, file("a.npy", npy(images)))
    answered(page, 2000)
    assert problems(page)[0].startswith("a.npy: images[2100][5] is 300;")


def test_sixty_bad_files_are_a_list_and_the_others_are_answered(page: Page, mnist: Mnist) -> None:
    blank, good = encoded(np.full((40, 40), 255, np.uint8)), files_of(mnist.test.images[:8])
    bad = [file(f"bad-{place}.png", blank if place % 2 else b"hello") for place in range(60)]
    choose(page, *(each for place in range(8) for each in (good[place], *bad[place::8])))
    expect(page.locator("#progress")).to_contain_text("8 answered, ", timeout=60_000)
    expect(page.locator("#progress")).to_contain_text("60 files were not answered.")
    assert digits_in_order(page) == mnist.test.labels[:8].tolist()
    assert len(set(problems(page))) == 60
    assert sum("blank" in each for each in problems(page)) == 30


def test_a_picture_that_the_service_finds_too_large_is_sent_smaller(page: Page, mnist: Mnist) -> None:
    large = np.full((3000, 4000, 3), 235, np.uint8)
    seven = Image.fromarray(mnist.test.images[0].reshape(28, 28)).resize((1400, 1400))
    large[800:2200, 1200:2600] -= np.asarray(seven)[:, :, np.newaxis] // 2
    choose(page, file("photo.png", encoded(large)), *files_of(mnist.test.images[1:3]))
    answered(page, 3)
    assert problems(page) == []
    assert sorted(digits_in_order(page)) == sorted(mnist.test.labels[:3].tolist())


def test_requests_keep_within_the_limits_of_the_service(open_page: OpenPage, home: Path, mnist: Mnist) -> None:
    with (
        serving(home, MAX_IMAGES="30", MAX_BODY_BYTES="100000") as limited,
        closing(open_page("#batch", url=limited.url)) as page,
    ):
        choose(page, file("many.npy", npy(mnist.test.images[:100].astype("f8"))), *files_of(mnist.test.images[:70]))
        answered(page, 170)
        assert problems(page) == []


def test_with_a_key_the_commands_take_it_from_the_environment(open_page: OpenPage, home: Path, mnist: Mnist) -> None:
    expected = "401 (Unauthorized)"
    with serving(home, API_KEYS=KEY) as closed, closing(open_page("#batch", url=closed.url, expected=expected)) as page:
        page.evaluate("key => sessionStorage.setItem('api-key', key)", KEY)
        choose(page, *files_of(mnist.test.images[:2]))
        answered(page, 2)
        page.get_by_text("Send it from a program").click()
        for command in ("#batch-curl", "#batch-python"):
            expect(page.locator(command)).to_contain_text("API_KEY")
            expect(page.locator(command)).not_to_contain_text("a-key")


def score(server: Server, images: np.ndarray, labels: np.ndarray) -> str:
    answer = httpx.post(f"{server.url}/predict", json={"images": images.tolist()}).json()
    right, accepted = np.array(answer["digits"]) == labels, np.array(answer["accepted"])
    return (
        f"Of {len(labels)} with labels, {right.mean():.2%} are read right. "
        f"It accepts {accepted.mean():.1%} of them and is right in {right[accepted].mean():.2%} of these."
    ).replace("%", "\u00a0%")


@pytest.mark.parametrize("form", [idx_bytes, npy])
def test_labels_in_a_second_file_score_the_answers(page: Page, server: Server, mnist: Mnist, form) -> None:
    images, labels = mnist.test.images[:300], mnist.test.labels[:300]
    choose(page, file("images", idx_bytes(images.reshape(-1, 28, 28))), file("labels", form(labels)))
    answered(page, 300)
    expect(page.locator("#score-words")).to_contain_text(score(server, images, labels))
    cells = page.locator("#batch-confusion tbody td").all_text_contents()
    assert sum(int(cell) for cell in cells if cell != "·") == 300
    page.get_by_label("Sort by").select_option("mistake")
    expect(page.locator("#grid .wrong").first).to_be_visible()
    choose(page, *files_of(images[:1]))
    answered(page, 1)
    expect(page.locator("#score")).to_be_hidden()


def test_labels_may_be_chosen_after_their_images_and_must_be_as_many(page: Page, server: Server, mnist: Mnist) -> None:
    images, labels = mnist.test.images[:50], mnist.test.labels[:50]
    choose(page, file("images.npy", npy(images)))
    answered(page, 50)
    choose(page, file("labels.npy", npy(labels[:49])))
    expect(page.locator("#problem-list")).to_contain_text("there are 49 labels for 50 images")
    choose(page, file("labels.npy", npy(labels.astype(">i8"))))
    expect(page.locator("#score-words")).to_contain_text(score(server, images, labels))


def tree(folder: Path, mnist: Mnist) -> Path:
    """Return a folder with eight digits in folders named by their labels."""
    for place, (image, label) in enumerate(zip(mnist.test.images[:8], mnist.test.labels[:8], strict=True)):
        (folder / "digits" / str(label)).mkdir(parents=True, exist_ok=True)
        (folder / "digits" / str(label) / f"{place}.png").write_bytes(png(image))
    (folder / "digits" / ".DS_Store").write_bytes(b"hidden")
    return folder / "digits"


@pytest.mark.parametrize("way", ["chosen", "dropped"])
def test_folders_named_by_digits_are_labels(page: Page, mnist: Mnist, tmp_path: Path, way: str) -> None:
    folder = tree(tmp_path, mnist)
    if way == "chosen":
        page.locator("#folder").set_input_files(folder)
    else:
        box, drag = page.locator("#drop").bounding_box(), {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        assert box
        session = page.context.new_cdp_session(page)
        for kind in ("dragEnter", "dragOver", "drop"):
            session.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 50, "y": box["y"] + 50, "data": drag})
    answered(page, 8)
    assert problems(page) == []
    expect(page.locator("#score-words")).to_contain_text("Of 8 with labels, 100.00\u00a0% are read right.")


def test_files_may_be_dropped(page: Page, mnist: Mnist) -> None:
    page.evaluate(DROP, ["drop", list(png(mnist.test.images[0]))])
    expect(page.locator("#progress")).to_have_text("1 answered, 1 of them accepted.")
    assert digits_in_order(page) == [7]


def test_a_file_that_cannot_be_answered_leaves_the_answers_before_it(page: Page, mnist: Mnist) -> None:
    choose(page, *files_of(mnist.test.images[:3]))
    answered(page, 3)
    choose(page, file("labels.txt", b"7, 2, 1"))
    expect(page.locator("#problem-list li")).to_have_count(1)
    expect(page.locator("#grid li")).to_have_count(3)
