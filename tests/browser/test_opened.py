"""Pictures that are opened: the page shows what the service makes of them, whatever browser-readable type they are of."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

from tests.support.page import SEVEN, OpenPage, draw, pixels_shown
from tests.support.serving import Server, free_port, serving


def seven(size: tuple[int, int], height: int, background: object, ink: object, mode: str = "RGB") -> Image.Image:
    """Return a picture of a seven, `height` pixels high, right of the middle."""
    picture = Image.new(mode, size, background)  # pyright: ignore[reportArgumentType]
    left, top = int(0.6 * size[0]), (size[1] - height) // 2
    points = [(left, top), (left + height // 2, top), (left + height // 4, top + height)]
    ImageDraw.Draw(picture).line(points, fill=ink, width=max(3, height // 9), joint="curve")  # pyright: ignore[reportArgumentType]
    return picture


def shadowed() -> Image.Image:
    light = np.linspace(255, 120, 600)[None, :] - np.random.default_rng(0).normal(0, 4, (600, 600))
    ink = np.asarray(seven((600, 600), 300, "white", "black").convert("L")) / 255
    return Image.fromarray(np.clip(light * (0.3 + 0.7 * ink), 0, 255).astype(np.uint8))


KINDS: dict[str, Callable[[], Image.Image]] = {
    "wide": lambda: seven((900, 300), 200, "white", "black"),
    "small": lambda: seven((1600, 1200), 90, "white", "black"),
    "pencil": lambda: seven((500, 500), 300, "white", (190, 190, 190)),
    "transparent": lambda: seven((400, 400), 300, (0, 0, 0, 0), "white", "RGBA"),
    "shadow": shadowed,
}


def encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, form, **options)
    return content.getvalue()


def choose(page: Page, content: bytes, media_type: str = "image/png") -> None:
    file = {"name": "seven", "mimeType": media_type, "buffer": content}
    page.locator("#open").set_input_files([file])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_read_by_the_service_and_what_the_model_saw_is_shown(page: Page, server: Server, kind: str) -> None:
    content = encoded(KINDS[kind](), "PNG")
    expected = server.predict(content, "image/png", "?seen=true").json()
    assert expected["digits"] == [7]
    choose(page, content)
    expect(page.locator("#digit")).to_have_text("7")
    assert pixels_shown(page, "seen") == expected["seen"][0]
    expect(page.locator("#sum")).to_contain_text("7 scores")


def test_a_blank_sheet_is_refused_in_the_services_words_and_can_be_undone(open_page: OpenPage) -> None:
    page = open_page(expected="400")
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    choose(page, encoded(Image.new("L", (300, 300), 240), "PNG"))
    expect(page.locator("#sure")).to_contain_text("the picture is blank")
    expect(page.locator("#digit")).to_have_text("–")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#digit")).to_have_text("7")


def test_types_that_the_service_does_not_take_and_too_many_pixels_are_drawn_anew(page: Page) -> None:
    sent = []
    page.on("request", lambda asked: sent.append(asked.headers["content-type"]) if "predict" in asked.url else None)
    choose(page, encoded(KINDS["wide"](), "WEBP"), "image/webp")
    expect(page.locator("#digit")).to_have_text("7")
    for form, media_type in (("PNG", "image/png"), ("JPEG", "image/jpeg")):
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#digit")).to_have_text("–")
        choose(page, encoded(seven((4000, 3000), 1500, "white", "black"), form), media_type)  # refused as it is, if a PNG
        expect(page.locator("#digit")).to_have_text("7", timeout=15_000)
    assert sent == ["image/png", "image/png", "image/jpeg"]


def test_a_photo_is_shown_upright(page: Page) -> None:
    orientation = Image.Exif()
    orientation[0x0112] = 6  # to be turned clockwise
    lying = seven((600, 400), 300, "white", "black").transpose(Image.Transpose.ROTATE_90)
    choose(page, encoded(lying, "JPEG", exif=orientation), "image/jpeg")
    expect(page.locator("#digit")).to_have_text("7")


def test_a_deskewing_version_shows_what_it_made_upright_and_its_evidence(open_page: OpenPage, deskewed: Server) -> None:
    page = open_page(url=deskewed.url)
    content = encoded(KINDS["wide"](), "PNG")
    expected = httpx.post(f"{deskewed.url}/predict?seen=true", content=content, headers={"content-type": "image/png"}).json()
    choose(page, content)
    expect(page.locator("#sum")).to_contain_text("scores")
    assert pixels_shown(page, "seen") == expected["seen"][0]
    expect(page.locator("#upright")).to_be_hidden()


def test_what_is_copied_of_a_picture_for_a_version_that_deskews_is_deskewed_once(open_page: OpenPage, deskewed: Server) -> None:
    page = open_page(url=deskewed.url, permissions=["clipboard-read", "clipboard-write"])
    picture = seven((600, 400), 300, "white", "black")
    choose(
        page, encoded(picture.transform(picture.size, Image.Transform.AFFINE, (1, 0.4, -60, 0, 1, 0), fillcolor="white"), "PNG")
    )
    expect(page.locator("#digit")).to_have_text("7")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#copied")).to_have_text("Copied as curl.")
    body = re.search(r"'(\{.*\})'", page.evaluate("navigator.clipboard.readText()"))
    assert body
    again = deskewed.predict(body[1].encode(), query="?seen=true").json()
    assert again["seen"][0] == pixels_shown(page, "seen")


def test_a_picture_opened_while_the_service_is_away_is_answered_when_it_is_back(open_page: OpenPage, home: Path) -> None:
    port = free_port()
    with serving(home, port=port) as server:
        page = open_page(url=server.url, expected="ERR_")
        expect(page.locator("#samples button")).to_have_count(20)
    choose(page, encoded(KINDS["wide"](), "PNG"))
    expect(page.locator("#service")).to_contain_text("The service does not answer.")
    with serving(home, port=port):
        expect(page.locator("#digit")).to_have_text("7")


def test_a_picture_whose_name_tells_another_type_is_drawn_anew(page: Page) -> None:
    choose(page, encoded(KINDS["wide"](), "WEBP"), "image/jpeg")  # as a browser types what was saved as seven.jpg
    expect(page.locator("#digit")).to_have_text("7")


def test_a_picture_whose_answer_comes_without_evidence_is_explained(open_page: OpenPage, deskewed: Server) -> None:
    page = open_page(url=deskewed.url)
    # As the page asks where another version was published after it looked.
    page.route("**/predict?seen=true*", lambda route: route.continue_(url=f"{deskewed.url}/predict?seen=true"))
    choose(page, encoded(KINDS["wide"](), "PNG"))
    expect(page.locator("#sum")).to_contain_text("7 scores")
