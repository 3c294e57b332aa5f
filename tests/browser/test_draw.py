"""Drawing, and what the page says of it."""

import io
import json
import math
import re

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.support.page import DESKTOP, DROP, ONE, PHONE, SEVEN, OpenPage, draw, pixels_shown
from tests.support.serving import Server
from training.data import Mnist


def bars(page: Page) -> list[float]:
    return [float(text.removesuffix("\u00a0%")) for text in page.locator("#bars .value").all_text_contents()]


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_a_seven_drawn_with_the_mouse_is_answered_with_seven(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = open_page(size=size)
    expect(page.locator("#digit")).to_have_text("–")
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    assert sum(bars(page)) == pytest.approx(100, abs=0.5)
    assert np.argmax(bars(page)) == 7
    expect(page.locator("#bars li.best b")).to_have_text("7")


def test_a_finger_draws_too(open_page: OpenPage) -> None:
    page = open_page(size=PHONE, has_touch=True, is_mobile=True)
    paper = page.locator("#pad").bounding_box()
    assert paper
    devtools = page.context.new_cdp_session(page)
    points = [{"x": paper["x"] + x * paper["width"], "y": paper["y"] + y * paper["height"]} for x, y in ONE[0]]
    devtools.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
    for point in points[1:]:
        devtools.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator("#digit")).to_have_text("1")
    assert page.evaluate("scrollY") == 0


def test_the_model_is_sent_the_picture_that_is_shown(page: Page) -> None:
    sent = []
    page.on("request", lambda request: sent.append(request.post_data) if request.url.endswith("/predict") else None)
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    page.wait_for_timeout(300)
    assert json.loads(sent[-1])["images"] == [pixels_shown(page, "seen")]


SLOW_FETCH = """() => {
  const fetched = window.fetch;
  window.log = { inFlight: 0, most: 0, sent: [] };
  window.fetch = async (path, options) => {
    if (path !== "predict") return fetched(path, options);
    log.sent.push(JSON.parse(options.body).images[0]);
    log.most = Math.max(log.most, ++log.inFlight);
    await new Promise((resolve) => setTimeout(resolve, 200));
    return fetched(path, options).finally(() => log.inFlight--);
  };
}"""


def test_at_most_one_request_is_in_flight_and_the_latest_drawing_wins(page: Page) -> None:
    page.evaluate(SLOW_FETCH)
    draw(page, [*SEVEN, [(0.4, 0.55), (0.75, 0.55)]])  # 37 moves of the mouse
    page.wait_for_timeout(1500)
    log = page.evaluate("log")
    assert (log["most"], log["inFlight"]) == (1, 0)
    assert 2 <= len(log["sent"]) < 20
    assert log["sent"][-1] == pixels_shown(page, "seen")


def test_undo_takes_a_stroke_back_and_clear_all_of_them(page: Page) -> None:
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    seven = pixels_shown(page, "seen")
    draw(page, [[(0.1, 0.9), (0.9, 0.9)]])
    assert pixels_shown(page, "seen") != seven
    page.get_by_role("button", name="Undo").click()
    assert pixels_shown(page, "seen") == seven
    page.get_by_role("button", name="Clear").click()
    assert not any(pixels_shown(page, "seen"))
    expect(page.locator("#digit")).to_have_text("–")
    page.get_by_role("button", name="Undo").click()
    assert pixels_shown(page, "seen") == seven


def score(page: Page, digit: int) -> float:
    """Return the score that the page shows for `digit`, having checked that its terms add up to it."""
    page.locator("#bars button").nth(digit).hover()
    words = (page.locator("#sum").text_content() or "").replace("−", "-")
    total, *terms = [float(number) for number in re.findall(r"[+-]\d+\.\d", words)]
    assert words.startswith(f"{digit} scores")
    assert total == pytest.approx(sum(terms), abs=0.21)
    return total


def test_the_evidence_of_all_ten_digits_explains_the_probabilities(page: Page) -> None:
    draw(page, [[(0.3, 0.3), (0.5, 0.2), (0.7, 0.35), (0.5, 0.5), (0.7, 0.65), (0.5, 0.82), (0.3, 0.72)]])
    expect(page.locator("#digit")).to_have_text(re.compile(r"\d"))
    page.wait_for_timeout(300)
    powers = [math.exp(score(page, digit)) for digit in range(10)]
    assert [power / sum(powers) for power in powers] == pytest.approx([bar / 100 for bar in bars(page)], abs=0.06)
    pictures = set()
    for digit in range(10):
        page.locator("#bars button").nth(digit).hover()
        pictures.add(page.evaluate("document.getElementById('evidence').toDataURL()"))
    assert len(pictures) == 10


def test_the_page_says_that_the_evidence_is_exact(page: Page) -> None:
    expect(page.get_by_text("This is exact, no estimate: the model is linear")).to_be_visible()


def test_twenty_test_digits_can_be_clicked_with_mistakes_among_them(page: Page, server: Server) -> None:
    samples = httpx.get(f"{server.url}/samples").json()
    expect(page.locator("#samples button")).to_have_count(20)
    wrong = [place for place in range(20) if samples["labels"][place] != samples["digits"][place]]
    assert wrong
    for place in (0, 19, *wrong):
        button = page.locator("#samples button").nth(place)
        assert f"Label {samples['labels'][place]}" in (button.get_attribute("aria-label") or "")
        button.click()
        expect(page.locator("#digit")).to_have_text(str(samples["digits"][place]))
        assert pixels_shown(page, "seen") == samples["images"][place]
    draw(page, SEVEN)  # in place of the sample, not over it
    expect(page.locator("#digit")).to_have_text("7")


def photographed(image: np.ndarray) -> bytes:
    """Return a digit as a large PNG of dark ink on light paper, off its middle."""
    picture = Image.new("L", (700, 500), 230)
    ink = Image.fromarray(image.reshape(28, 28)).resize((336, 336), Image.Resampling.BICUBIC)
    picture.paste(Image.eval(ink, lambda value: round(230 - 0.8 * value)), (320, 40))
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


PASTE = """([id, bytes]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], "digit.png", { type: "image/png" }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: files }));
}"""


@pytest.mark.parametrize("script", [DROP, PASTE], ids=["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(page: Page, mnist: Mnist, script: str) -> None:
    expect(page.locator("#samples button")).to_have_count(20)
    page.evaluate(script, ["paper", list(photographed(mnist.test.images[0]))])
    expect(page.locator("#digit")).to_have_text("7")


def test_a_picture_is_chosen(page: Page, mnist: Mnist) -> None:
    file = {"name": "digit.png", "mimeType": "image/png", "buffer": photographed(mnist.test.images[1])}
    page.locator("#open").set_input_files([file])  # pyright: ignore[reportArgumentType]
    expect(page.locator("#digit")).to_have_text("2")


def test_a_file_that_is_no_picture_is_said_to_be_none(page: Page) -> None:
    file = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    page.locator("#open").set_input_files([file])  # pyright: ignore[reportArgumentType]
    expect(page.locator("#sure")).to_contain_text("notes.txt is no picture")


def test_a_one_is_drawn_by_keyboard_alone(page: Page) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "pad":
            break
    for _ in range(7):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    for _ in range(14):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator("#digit")).to_have_text("1")
    expect(page.locator("#spoken")).to_contain_text("1")
    page.keyboard.press("ArrowLeft")  # the pen is lifted
    page.keyboard.press("Control+z")
    expect(page.locator("#digit")).to_have_text("–")
