"""The live view: what the metrics of one instance say, and which versions are published."""

import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.support.page import OpenPage
from tests.support.serving import Server, free_port, serving
from training.data import Mnist

HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def asked_for_metrics(page: Page) -> list[str]:
    """Return a list that each request for metrics is added to."""
    asked = []
    page.on("request", lambda it: asked.append(it.url) if it.url.endswith("/metrics") else None)
    return asked


def metrics(instance: str, requests: int) -> dict[str, object]:
    """Return what an instance answers that has answered so many requests of one image each, a seven, within 10 ms."""
    series = {
        'requests_total{route="/predict",status="200"}': requests,
        'requests_total{route="/metrics",status="200"}': 10_000,
        'request_duration_seconds_bucket{le="0.005",route="/predict"}': 0,
        'request_duration_seconds_bucket{le="0.01",route="/predict"}': requests,
        'request_duration_seconds_bucket{le="+Inf",route="/predict"}': requests,
        'predictions_total{digit="7"}': requests,
    }
    body = "".join(f"digit_classifier_{name} {value}\n" for name, value in series.items())
    return {"body": body, "headers": {"X-Instance": instance}, "content_type": "text/plain"}


def answer_with(page: Page, answers: Iterator[dict]) -> None:
    page.route("**/metrics", lambda route: route.fulfill(**next(answers)))


def rates_shown(page: Page, seconds: float) -> list[float]:
    """Return the rates per second that the page shows for so many seconds."""
    page.evaluate(
        """() => {
          window.shown = [];
          const caption = document.querySelector("#tile-rate figcaption");
          new MutationObserver(() => window.shown.push(caption.textContent)).observe(caption, { childList: true });
        }"""
    )
    page.wait_for_timeout(1000 * seconds)
    return [
        float(text.removesuffix(" per second").replace(",", "")) for text in page.evaluate("window.shown") if "–" not in text
    ]


def test_what_is_predicted_while_one_watches_is_counted(open_page: OpenPage, server: Server, mnist: Mnist) -> None:
    page = open_page("#live")
    expect(page.locator("#live-instance")).to_have_text(re.compile(r"^Instance .+\.$"))
    digits = []
    for images in (mnist.test.images[:20], *mnist.test.images[20:29, None]):
        digits += server.predict(json.dumps({"images": images.tolist()}).encode()).json()["digits"]
    expect(page.locator("#tile-rate figcaption")).to_have_text(re.compile(r"^[1-9][\d.]* per second$"))
    expect(page.locator("#live-range")).to_contain_text(re.compile(r"are of the 29 images answered in the last \d+ s"))
    shares = np.bincount(digits, minlength=10) / 29
    words = ", ".join(f"{digit}: {share:.1%}".replace("%", "\u00a0%") for digit, share in enumerate(shares))
    expect(page.locator("#tile-digits svg")).to_have_attribute("aria-label", f"Digits {words}")
    expect(page.locator("#tile-times figcaption")).to_have_text(re.compile(r"^Half within [\d.]+ ms, 99 % within [\d.]+ ms"))
    expect(page.locator("#tile-accepted figcaption")).to_have_text(
        re.compile(r"^\d+\.\d\s% of images; of the validation digits \d")
    )
    for name in ("confidence", "novelty"):
        shown = page.locator(f"#tile-{name} svg").get_attribute("aria-label") or ""
        assert sum(float(share) for share in re.findall(r": ([\d.]+)", shown)) == pytest.approx(100, abs=0.6)


def test_metrics_are_asked_for_only_while_the_view_and_the_page_are_visible(page: Page) -> None:
    asked = asked_for_metrics(page)
    page.wait_for_timeout(2500)
    assert asked == []
    page.get_by_role("link", name="Live").click()
    expect(page.locator("#live-instance")).not_to_be_empty()
    page.wait_for_timeout(2500)
    assert 2 <= len(asked) <= 4
    for leave, come_back in (("location.hash = 'draw'", "location.hash = 'live'"), (f"({HIDE})(true)", f"({HIDE})(false)")):
        page.evaluate(leave)
        before = len(asked)
        page.wait_for_timeout(2500)
        assert len(asked) == before
        page.evaluate(come_back)
        page.wait_for_timeout(500)
        assert len(asked) > before


def test_behind_a_proxy_rates_are_those_of_one_replica_which_is_named(open_page: OpenPage) -> None:
    page, start = open_page(), time.monotonic()

    def answers() -> Iterator[dict]:
        for place in itertools.count():
            since = int(10 * (time.monotonic() - start))
            yield metrics("two", 9_000_000 + 3 * since) if place % 2 else metrics("one", 1_000 + since)

    answer_with(page, answers())
    page.evaluate("location.hash = 'live'")
    expect(page.locator("#live-instance")).to_have_text("Instance one, one of 2 that answered within a minute.")
    rates = rates_shown(page, 9)
    assert all(0 <= rate < 100 for rate in rates)
    assert rates[-1] == pytest.approx(10, rel=0.3)
    expect(page.locator("#tile-times figcaption")).to_have_text("Half within 7.5 ms, 99 % within 9.95 ms (dashed)")


def test_an_instance_that_counts_anew_is_not_taken_for_one_that_counted_on(open_page: OpenPage) -> None:
    page = open_page()
    answer_with(page, (metrics("one", 100 if place else 5_000) for place in range(100)))
    page.evaluate("location.hash = 'live'")
    expect(page.locator("#live-range")).to_contain_text("5,000 images answered since this instance started")
    rates = rates_shown(page, 5)
    assert set(rates) == {0}
    expect(page.locator("#live-range")).to_contain_text("100 images answered since this instance started")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"error": "the request has no key; send one."}, "the request has no key; send one."),
        (403, "<h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n", "the service answered 403."),
        (404, {"error": "there is no /metrics."}, "there is no /metrics."),
    ],
)
def test_where_the_metrics_are_closed_the_page_says_so_and_asks_no_more(
    open_page: OpenPage, status: int, body: object, said: str
) -> None:
    page = open_page(expected=str(status))
    asked = asked_for_metrics(page)
    page.route(
        "**/metrics", lambda route: route.fulfill(status=status, body=body if isinstance(body, str) else json.dumps(body))
    )
    page.evaluate("location.hash = 'live'")
    expect(page.locator("#live-closed")).to_have_text(f"The metrics of this service are closed to this page: {said}")
    expect(page.locator("#live")).to_be_hidden()
    page.wait_for_timeout(1000)  # the card may come after it, which has it look again
    before = len(asked)
    page.wait_for_timeout(2500)
    assert len(asked) == before


def test_the_live_view_says_when_the_service_is_away_and_goes_on_when_it_is_back(open_page: OpenPage, home: Path) -> None:
    port = free_port()
    with serving(home, port=port) as running:
        page = open_page("#live", url=running.url, expected="ERR_")
        expect(page.locator("#live-instance")).not_to_be_empty()
        before = page.locator("#live-instance").text_content() or ""
    expect(page.locator("#service")).to_contain_text("The service does not answer.")
    with serving(home, port=port):
        expect(page.locator("#service")).to_be_empty()
        page.evaluate("document.querySelector('#live-instance').textContent = ''")
        expect(page.locator("#live-instance")).to_contain_text("Instance ")
        assert before


def test_the_versions_published_are_listed_with_the_one_that_is_served(open_page: OpenPage, server: Server) -> None:
    page = open_page("#live")
    published = httpx.get(f"{server.url}/model/versions").json()
    rows = page.locator("#versions tr")
    expect(rows).to_have_count(len(published["versions"]))
    expect(page.locator("#versions .served")).to_have_count(1)
    expect(page.locator("#versions .served")).to_contain_text(published["served"])
    accuracy = f"{published['versions'][0]['test_accuracy']:.2%}".replace("%", "\u00a0%")
    expect(rows.first).to_contain_text(accuracy)


def test_versions_that_cannot_be_listed_are_told_in_the_services_words(open_page: OpenPage) -> None:
    page = open_page(expected="403")
    refusal = {"status": 403, "json": {"error": "not from here."}}
    page.route("**/model/versions", lambda route: route.fulfill(**refusal))
    page.evaluate("location.hash = 'live'")
    expect(page.locator("#versions-words")).to_have_text("No versions: not from here.")


def test_with_another_key_the_metrics_are_open_again(open_page: OpenPage) -> None:
    page = open_page(expected="401")
    refused = [True]
    answer = {"status": 401, "json": {"error": "the key is not one of those that are accepted."}}
    page.route(re.compile("/(metrics|model)$"), lambda route: route.fulfill(**answer) if refused else route.continue_())
    page.evaluate("location.hash = 'live'")
    expect(page.locator("#live-closed")).to_be_visible()
    page.get_by_label("API key").fill("a-key-of-at-least-16")
    refused.clear()
    page.keyboard.press("Enter")
    expect(page.locator("#live-instance")).not_to_be_empty()
    expect(page.locator("#live-closed")).to_be_hidden()
