"""Debian's Chromium over a real service. Every page must end without an error on its console or a request elsewhere."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.support.cards import KNOWS, KNOWS_NOTHING, change_card
from tests.support.page import DESKTOP, OpenPage
from tests.support.serving import Server, serving


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
    # Chromium logs that these tests read canvases, each request that was refused or not answered, and those that it broke
    # off because another program, such as Docker, added a network to the machine.
    usual = ("willReadFrequently", "net::ERR_NETWORK_CHANGED")
    return bool(expected and expected in said.text) or any(each in said.text for each in usual)


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


@contextlib.contextmanager
def serving_changed(published: Path, home: Path, changes: Mapping[str, object]) -> Iterator[Server]:
    """Serve the version in `published` from `home`, its card changed."""
    shutil.copytree(published / "models", home / "models")
    change_card(home, changes)
    with serving(home) as running:
        yield running


@pytest.fixture(scope="session")
def knowing(published_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a service whose version says what it accepts, with figures that the tests know."""
    with serving_changed(published_home, tmp_path_factory.mktemp("knowing"), KNOWS) as running:
        yield running


@pytest.fixture(scope="session")
def not_linear(published_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a service whose version can do nothing beyond probabilities."""
    with serving_changed(published_home, tmp_path_factory.mktemp("not_linear"), KNOWS_NOTHING) as running:
        yield running
