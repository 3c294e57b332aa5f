"""The other views: templates, model, batch."""

import csv
import gzip
import io
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.support.page import DROP, SEVEN, WHEN_PAINTED, OpenPage, draw
from tests.support.serving import Server
from tests.support.training import idx_bytes
from training.data import Mnist

# Templates


def picture_of(page: Page, digit: int) -> str:
    return page.locator("#template-list canvas").nth(digit).evaluate("canvas => canvas.toDataURL()")


def test_the_ten_templates_are_ten_pictures_and_pointing_at_one_lays_the_drawing_over_it(page: Page) -> None:
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    page.get_by_role("link", name="Templates").click()
    templates = [picture_of(page, digit) for digit in range(10)]
    assert len(set(templates)) == 10
    page.locator("#template-list button").nth(7).hover()
    assert picture_of(page, 7) != templates[7]
    assert picture_of(page, 3) == templates[3]
    expect(page.locator("#share")).to_contain_text(re.compile(r"^7 scores \+\d.*of the answer\.$"))
    page.locator("#template-list button").nth(0).focus()
    expect(page.locator("#share")).to_contain_text("0 scores")


def test_the_score_beside_the_digit_answered_is_the_highest(page: Page) -> None:
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    page.get_by_role("link", name="Templates").click()
    scores = [float(text.replace("−", "-")) for text in page.locator("#template-list .value").all_text_contents()]
    assert np.argmax(scores) == 7
    expect(page.locator("#template-list li.best b")).to_have_text("7")


def test_without_a_drawing_the_templates_say_what_to_do(open_page: OpenPage) -> None:
    expect(open_page("#templates").locator("#share")).to_contain_text("Draw a digit first")


# Model


def test_the_card_is_told_in_words(open_page: OpenPage, server: Server) -> None:
    page, card = open_page("#model"), httpx.get(f"{server.url}/model").json()
    low, high = card["test"]["accuracy_interval"]
    lead = page.locator("#card-lead")
    expect(lead).to_contain_text(card["version"])
    for share in (card["test"]["accuracy"], low, high):
        expect(lead).to_contain_text(f"{share:.2%}".replace("%", "\u00a0%"))
    expect(page.locator("#facts")).to_contain_text(
        "baseline: Adam, learning rate 0.005 (cosine), batches of 512, 20 epochs, seed 0"
    )
    expect(page.locator("#card-warning")).to_be_hidden()


def test_the_confusion_matrix_and_the_calibration_are_those_of_the_card(open_page: OpenPage, server: Server) -> None:
    page, test = open_page("#model"), httpx.get(f"{server.url}/model").json()["test"]
    expect(page.locator("#confusion tbody td")).to_have_count(100)
    shown = [0 if text == "·" else int(text) for text in page.locator("#confusion tbody td").all_text_contents()]
    assert shown == [count for row in test["confusion"] for count in row]
    filled = [each for each in test["reliability"] if each["images"]]
    expect(page.locator("#reliability .dot")).to_have_count(len(filled))
    expect(page.locator("#reliability-words")).to_contain_text(f"{100 * test['calibration_error']:.1f} points")
    page.locator("#curve").evaluate(WHEN_PAINTED)


# Batch


def files_of(images: np.ndarray) -> list[dict]:
    def png(image: np.ndarray) -> bytes:
        content = io.BytesIO()
        Image.fromarray(255 - image.reshape(28, 28)).resize((112, 112)).save(content, "PNG")
        return content.getvalue()

    return [{"name": f"{place}.png", "mimeType": "image/png", "buffer": png(image)} for place, image in enumerate(images)]


def choose(page: Page, files: list[dict]) -> None:
    page.locator("#files").set_input_files(files)  # pyright: ignore[reportArgumentType]


def grid(page: Page) -> list[tuple[int, int]]:
    """Return digit and confidence in percent of each picture, in the order shown."""
    digits, sure = (page.locator(f"#grid {tag}").all_text_contents() for tag in ("b", "span"))
    return [(int(digit), int(share.removesuffix("\u00a0%"))) for digit, share in zip(digits, sure, strict=True)]


def test_a_file_of_many_is_answered_sorted_by_doubt_and_taken_away_as_csv(
    open_page: OpenPage, mnist: Mnist, server: Server, tmp_path: Path
) -> None:
    page, images = open_page("#batch"), mnist.test.images[:300]
    content = idx_bytes(images.reshape(-1, 28, 28))
    choose(page, [{"name": "t10k", "mimeType": "application/octet-stream", "buffer": content}])
    expect(page.locator("#progress")).to_contain_text("300 answered, ")
    expected = httpx.post(f"{server.url}/predict", json={"images": images.tolist()}).json()
    confidences = [sure for _, sure in grid(page)]
    assert confidences == sorted(confidences)
    assert len(confidences) == 120
    page.get_by_label("Sort by").select_option("file")
    assert [digit for digit, _ in grid(page)] == expected["digits"][:120]
    page.get_by_role("button", name="Show more").click()
    assert len(grid(page)) == 240
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "digits.csv")
    rows = list(csv.DictReader((tmp_path / "digits.csv").open()))
    assert [int(row["digit"]) for row in rows] == expected["digits"]
    assert float(rows[0]["p7"]) == pytest.approx(expected["probabilities"][0][7], abs=1e-7)


def test_many_pictures_are_answered_and_a_file_that_is_none_is_named(open_page: OpenPage, mnist: Mnist) -> None:
    page = open_page("#batch")
    broken = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"}
    choose(page, [*files_of(mnist.test.images[:6]), broken])
    expect(page.locator("#progress")).to_contain_text("6 answered")
    expect(page.locator("#progress")).to_contain_text("notes.txt: no picture")
    page.get_by_label("Sort by").select_option("file")
    assert [digit for digit, _ in grid(page)] == mnist.test.labels[:6].tolist()


@pytest.mark.parametrize("form", ["npy", "idx.gz"])
def test_npy_and_gzip_are_read(open_page: OpenPage, mnist: Mnist, form: str) -> None:
    page, images, content = open_page("#batch"), mnist.test.images[:5], io.BytesIO()
    np.save(content, images)
    buffer = content.getvalue() if form == "npy" else gzip.compress(idx_bytes(images.reshape(-1, 28, 28)))
    choose(page, [{"name": f"digits.{form}", "mimeType": "application/octet-stream", "buffer": buffer}])
    expect(page.locator("#progress")).to_contain_text("5 answered")
    page.get_by_label("Sort by").select_option("file")
    assert [digit for digit, _ in grid(page)] == mnist.test.labels[:5].tolist()


def test_files_may_be_dropped(open_page: OpenPage, mnist: Mnist) -> None:
    page = open_page("#batch")
    page.evaluate(DROP, ["drop", list(files_of(mnist.test.images[:1])[0]["buffer"])])
    expect(page.locator("#progress")).to_have_text("1 answered, 1 of them accepted.")
    assert [digit for digit, _ in grid(page)] == [7]


def test_what_the_service_refuses_is_told_in_its_own_words(open_page: OpenPage) -> None:
    page, content = open_page("#batch", expected="400 (Bad Request)"), io.BytesIO()
    np.save(content, np.full((2, 784), 256.0))
    choose(page, [{"name": "digits.npy", "mimeType": "application/octet-stream", "buffer": content.getvalue()}])
    expect(page.locator("#progress")).to_contain_text("digits.npy: images[0][0] is 256; send 784 (28×28) pixel values")
