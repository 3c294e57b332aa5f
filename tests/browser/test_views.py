"""The other views: templates, model."""

import base64
import io
import re

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.support.page import SEVEN, WHEN_PAINTED, OpenPage, draw
from tests.support.serving import Server

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
    expect(page.locator("#template-list li.best b")).to_have_text("7")
    scores = [float(text.replace("−", "-")) for text in page.locator("#template-list .value").all_text_contents()]
    assert np.argmax(scores) == 7


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


def test_the_confusion_matrix_and_the_calibration_error_are_those_of_the_card(open_page: OpenPage, server: Server) -> None:
    page, test = open_page("#model"), httpx.get(f"{server.url}/model").json()["test"]
    expect(page.locator("#confusion tbody td")).to_have_count(100)
    shown = [0 if text == "·" else int(text) for text in page.locator("#confusion tbody td").all_text_contents()]
    assert shown == [count for row in test["confusion"] for count in row]
    expect(page.locator("#reliability-words")).to_contain_text(f"{100 * test['calibration_error']:.1f} points")


@pytest.mark.parametrize("name", ["reliability", "coverage", "learning_curve"])
def test_the_charts_are_those_that_training_drew_of_the_version_served(open_page: OpenPage, server: Server, name: str) -> None:
    canvas = open_page("#model").locator(f"#{name}")
    canvas.evaluate(WHEN_PAINTED)
    drawn = httpx.get(f"{server.url}/model/pictures/{name}.png").content
    shown = base64.b64decode(canvas.evaluate("it => it.toDataURL().split(',')[1]"))
    painted, expected = (np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) for content in (shown, drawn))
    np.testing.assert_array_equal(painted, expected)
