"""The viewer at `/docs`: requests can be tried, without a request elsewhere, and with a key where one is set."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.page import PHONE, OpenPage
from tests.support.project import ROOT
from tests.support.serving import Server, serving

KEY = "first-key-0123456789"


def opened(page: Page, operation: str) -> Locator:
    block = page.locator(f"#operations-default-{operation}")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    return block


def execute(block: Locator) -> Locator:
    """Send the request and return where its answer is shown."""
    block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table")
    expect(answer.locator(".response-col_status").last).to_have_text("200")
    return answer


@pytest.fixture(scope="module")
def guarded(reading_home: Path) -> Iterator[Server]:
    with serving(reading_home, API_KEYS=KEY) as server:
        yield server


def test_the_example_can_be_sent_and_is_answered(open_page: OpenPage) -> None:
    answer = execute(opened(open_page("docs"), "predict"))
    expect(answer).to_contain_text(re.compile(r'"digits": \[\s+1\s+\]'))


def test_a_picture_can_be_sent_and_what_the_model_saw_is_answered(open_page: OpenPage) -> None:
    block = opened(open_page("docs", size=PHONE), "predict")
    block.locator(".opblock-section-request-body select").select_option("image/png")
    block.locator("input[type=file]").set_input_files(ROOT / "examples/seven.png")
    block.locator("[data-param-name=seen] select").select_option("true")
    answer = execute(block)
    expect(answer).to_contain_text(re.compile(r'"digits": \[\s+7\s+\]'))
    expect(answer).to_contain_text('"seen"')


def test_a_picture_that_is_answered_is_shown(open_page: OpenPage) -> None:
    page = open_page("docs")
    page.locator(".opblock", has_text="/model/pictures/{name}.png").locator(".opblock-summary-control").click()
    block = page.locator(".opblock.is-open")
    block.get_by_role("button", name="Try it out").click()
    picture = execute(block).locator("img")
    assert picture.evaluate("it => it.decode().then(() => it.naturalWidth)") > 100


def test_without_a_key_it_asks_for_one_and_says_when_it_is_wrong(open_page: OpenPage, guarded: Server) -> None:
    page = open_page("docs", url=guarded.url, expected="401 (Unauthorized)")
    expect(page.locator("#why")).to_have_text("This service wants a key, also for its description.")
    page.get_by_label("API key").fill("a-key-that-no-header-takes-ключ")
    page.get_by_role("button", name="Show the API").click()
    expect(page.locator("#value:invalid")).to_be_focused()
    page.get_by_label("API key").fill("another-key-0123456789")
    page.get_by_role("button", name="Show the API").click()
    expect(page.locator("#why")).to_have_text("This service does not know that key.")
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Show the API").click()
    execute(opened(page, "predict"))
    expect(page.locator("#key")).to_be_hidden()
    assert page.evaluate("sessionStorage.getItem('api-key')") == KEY


def test_the_key_that_the_page_keeps_is_used_and_authorize_goes_before_it(open_page: OpenPage, guarded: Server) -> None:
    page = open_page(url=guarded.url, expected="401 (Unauthorized)")
    page.evaluate(f"sessionStorage.setItem('api-key', '{KEY}')")
    page.goto(f"{guarded.url}/docs")
    block = opened(page, "predict")
    page.get_by_role("button", name="Authorize").click()
    page.get_by_label("auth-bearer-value").fill("another-key-0123456789")
    page.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").click()
    block.get_by_role("button", name="Execute").click()
    expect(block.locator(".live-responses-table .response-col_status").last).to_contain_text("401")


def test_where_the_browser_blocks_storage_a_service_without_keys_has_a_viewer(open_page: OpenPage) -> None:
    page = open_page("docs")
    page.add_init_script("Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('blocked'); } })")
    page.reload()
    expect(page.locator("#operations-default-predict")).to_be_visible()
