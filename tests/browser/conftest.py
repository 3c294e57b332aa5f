"""Debian's Chromium over a real service. Every page must end without an error on its console or a request elsewhere."""

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

# The strokes of a seven and of a one, as shares of the paper's side.
SEVEN = [[(0.28, 0.22), (0.5, 0.22), (0.74, 0.22), (0.66, 0.4), (0.56, 0.6), (0.48, 0.84)]]
ONE = [[(0.52, 0.2), (0.5, 0.5), (0.48, 0.8)]]

# Drops a PNG of these bytes on the element of this id.
DROP = """([id, bytes]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], "digit.png", { type: "image/png" }));
  document.getElementById(id).dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
}"""

PHONE, DESKTOP = (360, 740), (1440, 900)

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    arguments = [
        "--no-sandbox",
        "--disable-background-networking",
        "--disable-component-update",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


def is_expected(said: ConsoleMessage, expected: str) -> bool:
    # Chromium logs that these tests read canvases, and each request that was refused or not answered.
    return bool(expected and expected in said.text) or "willReadFrequently" in said.text


@pytest.fixture
def open_page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[OpenPage]:
    """Return a function that opens the page; whatever it opened is checked when the test ends."""
    opened, errors, elsewhere = [], [], []

    def watch(page: Page, url: str, expected: str) -> None:
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: None if is_expected(said, expected) else errors.append(said.text))
        page.on("request", lambda asked: None if asked.url.startswith((url, "blob:")) else elsewhere.append(asked.url))

    def open_page(
        path: str = "", *, url: str = "", size: tuple[int, int] = DESKTOP, expected: str = "", **context: object
    ) -> Page:
        url = url or request.getfixturevalue("server").url
        viewport = {"width": size[0], "height": size[1]}
        opened.append(chromium.new_context(viewport=viewport, **context))  # pyright: ignore[reportArgumentType]
        page = opened[-1].new_page()
        page.set_default_timeout(15_000)
        watch(page, url, expected)
        page.goto(f"{url}/{path}")
        return page

    yield open_page
    for context in opened:
        context.close()
    assert errors == []
    assert elsewhere == []


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page()


def draw(page: Page, strokes: list[list[tuple[float, float]]]) -> None:
    """Draw with the mouse."""
    paper = page.locator("#pad").bounding_box()
    assert paper
    for stroke in strokes:
        points = [(paper["x"] + x * paper["width"], paper["y"] + y * paper["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=6)
        page.mouse.up()


def pixels_shown(page: Page, canvas: str) -> list[int]:
    """Return the red values of the 784 pixels of a canvas."""
    return page.evaluate(
        """id => [...document.getElementById(id).getContext("2d").getImageData(0, 0, 28, 28).data]
             .filter((_, index) => index % 4 === 0)""",
        canvas,
    )
