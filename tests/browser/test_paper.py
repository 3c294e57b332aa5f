"""The paper's tools: each step is undone and redone, the eraser, the pen's width, fingers, the address, what is taken away."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.support.curl import write_stand_in
from tests.support.page import DROP, ONE, PHONE, SEVEN, OpenPage, draw, pixels_shown
from tests.support.serving import Server


def seven(page: Page) -> list[int]:
    """Draw a seven and return what the model sees of it."""
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    return pixels_shown(page, "seen")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_what_was_cleared_or_replaced_comes_back_and_can_be_done_again(page: Page) -> None:
    first = seven(page)
    press(page, "Clear")
    press(page, "Undo")
    assert pixels_shown(page, "seen") == first
    page.locator("#samples button").first.click()
    expect(page.locator("#digit")).to_have_text("0")
    sample = pixels_shown(page, "seen")
    press(page, "Undo")
    assert pixels_shown(page, "seen") == first
    press(page, "Redo")
    assert pixels_shown(page, "seen") == sample
    expect(page.locator("#digit")).to_have_text("0")
    draw(page, ONE)
    expect(page.get_by_role("button", name="Redo")).to_be_disabled()


def test_a_file_that_is_no_picture_leaves_the_drawing_and_its_answer(page: Page) -> None:
    first = seven(page)
    file = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    page.locator("#open").set_input_files([file])  # pyright: ignore[reportArgumentType]
    expect(page.locator("#hint")).to_contain_text("notes.txt is no picture that this browser can read")
    assert pixels_shown(page, "seen") == first
    expect(page.locator("#digit")).to_have_text("7")


DROP_TWO = """([bytes]) => {
  const files = new DataTransfer();
  for (const name of ["first.png", "second.png"])
    files.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  const drop = new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true });
  document.getElementById("paper").dispatchEvent(drop);
}"""


def drawn_seven() -> bytes:
    image = Image.new("L", (300, 300), 255)
    for x in range(100, 200):
        image.paste(0, (x, 60, x + 14, 74))
        image.paste(0, (300 - x, 60 + 2 * (x - 100), 314 - x, 74 + 2 * (x - 100)))
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def test_of_two_files_the_one_that_is_left_out_is_said(page: Page) -> None:
    page.evaluate(DROP_TWO, [list(drawn_seven())])
    expect(page.locator("#digit")).to_have_text("7")
    expect(page.locator("#hint")).to_contain_text("Of 2 files only first.png is shown")


def test_the_eraser_takes_ink_away_and_a_wide_pen_leaves_more(page: Page) -> None:
    seven(page)
    before = drawn_pixels(page)
    press(page, "Eraser")
    draw(page, [[(0.1, 0.22), (0.9, 0.22)]])
    assert drawn_pixels(page) < 0.8 * before
    press(page, "Clear")
    press(page, "Eraser")
    page.locator("#pen-width").fill("16")
    draw(page, SEVEN)
    assert drawn_pixels(page) > 1.5 * before


def drawn_pixels(page: Page) -> int:
    """Return how many pixels of the paper have ink."""
    return page.evaluate("""() => {
      const { data } = document.getElementById("pad").getContext("2d").getImageData(0, 0, 560, 560);
      return data.filter((value, index) => index % 4 === 3 && value > 128).length;
    }""")


def test_a_click_draws_a_dot(page: Page) -> None:
    page.locator("#pad").click(position={"x": 90, "y": 90})
    assert 300 < drawn_pixels(page) < 3000
    assert any(pixels_shown(page, "seen"))


def test_a_second_finger_does_not_draw(open_page: OpenPage) -> None:
    page = open_page(size=PHONE, has_touch=True, is_mobile=True)
    paper = page.locator("#pad").bounding_box()
    assert paper
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [
            {"x": paper["x"] + x * paper["width"], "y": paper["y"] + y * paper["height"], "id": finger}
            for finger, (x, y) in enumerate(places)
        ]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (0.5, 0.2))
    touch("touchStart", (0.5, 0.2), (0.1, 0.8))
    for step in range(1, 9):
        touch("touchMove", (0.5, 0.2 + 0.07 * step), (0.1 + 0.1 * step, 0.8))
    touch("touchEnd")
    expect(page.locator("#digit")).to_have_text("1")
    _, columns = np.nonzero(np.reshape(pixels_shown(page, "seen"), (28, 28)))
    assert np.ptp(columns) < 8
    press(page, "Undo")
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()  # it was one stroke


def test_the_address_carries_the_drawing(page: Page, open_page: OpenPage) -> None:
    seven(page)
    press(page, "Eraser")
    draw(page, [[(0.1, 0.85), (0.9, 0.8)]])
    page.evaluate("location.hash = '#model'")
    page.evaluate("location.hash = '#draw'")
    expect(page).to_have_url(re.compile("strokes="))
    other = open_page(f"#{page.url.partition('#')[2]}")
    expect(other.locator("#digit")).to_have_text(page.locator("#digit").text_content() or "")
    assert pixels_shown(other, "seen") == pixels_shown(page, "seen")


def test_an_address_that_carries_no_drawing_is_a_blank_paper(open_page: OpenPage) -> None:
    expect(open_page("#draw?strokes=p50<b>").locator("#sure")).to_have_text("Nothing is drawn yet.")


def test_the_drawing_is_saved_as_dark_ink_on_white_and_reads_the_same(open_page: OpenPage, server: Server) -> None:
    page = open_page(color_scheme="dark")
    seven(page)
    with page.expect_download() as download:
        press(page, "Save as PNG")
    content = Path(download.value.path()).read_bytes()
    assert np.asarray(Image.open(io.BytesIO(content)).convert("L"))[0, 0] == 255
    assert server.predict(content, "image/png").json()["digits"] == [7]


@pytest.mark.parametrize("name", ["curl", "Python"])
def test_what_is_copied_runs_as_pasted(open_page: OpenPage, tmp_path: Path, name: str) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    seven(page)
    shown = page.locator("#bars .value").all_text_contents()
    press(page, f"Copy as {name}")
    expect(page.locator("#copied")).to_have_text(f"Copied as {name}.")
    text = page.evaluate("navigator.clipboard.readText()")
    write_stand_in(tmp_path)
    command = ["sh"] if name == "curl" else [sys.executable, "-"]
    path = f"{tmp_path}:/usr/bin:/bin"
    answer = subprocess.run(command, input=text, env={"PATH": path}, capture_output=True, text=True, check=True).stdout
    (probabilities,) = json.loads(answer.replace("'", '"').replace("True", "true").replace("False", "false"))["probabilities"]
    assert [f"{100 * each:.1f}\u00a0%" for each in probabilities] == shown


def test_where_the_page_may_not_copy_the_text_is_there_to_be_copied(page: Page) -> None:
    seven(page)
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
    press(page, "Copy as curl")
    expect(page.get_by_label("The text to copy")).to_have_value(re.compile("^curl -s"))


def test_a_dropped_picture_is_shown_unstretched(page: Page) -> None:
    image = Image.new("L", (400, 100), 255)
    image.paste(0, (150, 0, 250, 100))  # a square
    content = io.BytesIO()
    image.save(content, "PNG")
    page.evaluate(DROP, ["paper", list(content.getvalue())])
    expect(page.get_by_role("button", name="Clear")).to_be_enabled()
    values = page.evaluate(
        """() => [...document.getElementById("pad").getContext("2d").getImageData(0, 0, 560, 560).data]
             .filter((_, index) => index % 4 !== 1 && index % 4 !== 2)"""
    )
    grey, opaque = np.reshape(values, (560, 560, 2)).transpose(2, 0, 1)
    box = [np.ptp(places) for places in np.nonzero((grey < 100) & (opaque == 255))]
    assert box[0] == pytest.approx(box[1], abs=4)


def test_what_is_undone_while_it_is_drawn_leaves_the_stroke_before_it(page: Page) -> None:
    first = seven(page)
    paper = page.locator("#pad").bounding_box()
    assert paper
    page.mouse.move(paper["x"] + 50, paper["y"] + 50)
    page.mouse.down()
    page.keyboard.press("Control+z")
    page.mouse.move(paper["x"] + 50, paper["y"] + 200, steps=4)
    page.mouse.up()
    assert pixels_shown(page, "seen") == first
