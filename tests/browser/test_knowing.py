"""What the page says of a version whose card says what it accepts: Draw, Batch, Model."""

import csv
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.cards import KNOWS, MAX_NOVELTY
from tests.support.page import NO_DIGIT, PHONE, OpenPage, draw, pixels_shown
from tests.support.serving import Server
from tests.support.training import idx_bytes
from training.data import Mnist


def answers(server: Server, images: list) -> dict[str, np.ndarray]:
    answer = httpx.post(f"{server.url}/predict", json={"images": images}).json()
    return {name: np.array(answer[name]) for name in ("digits", "probabilities", "novelty", "accepted")}


def show_sample(page: Page, server: Server, *, accepted: bool) -> np.ndarray:
    """Choose a sample that looks like a digit and is accepted, or is not, and return its probabilities."""
    images = httpx.get(f"{server.url}/samples").json()["images"]
    found = answers(server, images)
    place = np.flatnonzero((found["accepted"] == accepted) & (found["novelty"] < MAX_NOVELTY))[0]
    page.locator("#samples button").nth(place).click()
    expect(page.locator("#digit")).to_have_text(str(found["digits"][place]))
    return found["probabilities"][place]


def test_an_answer_that_is_accepted_says_how_sure_it_is_and_how_usual_the_picture(open_page: OpenPage, knowing: Server) -> None:
    page = open_page(url=knowing.url)
    probabilities = show_sample(page, knowing, accepted=True)
    sure = f"{probabilities.max():.1%}".replace("%", "\u00a0%")
    expect(page.locator("#sure")).to_have_text(f"{sure} sure")
    expect(page.locator("#spoken")).to_have_text(f"{probabilities.argmax()}, {sure} sure")
    expect(page.locator("#bars .best")).to_have_count(1)
    (novelty,) = answers(knowing, [pixels_shown(page, "seen")])["novelty"]
    expect(page.locator("#novelty")).to_contain_text(f"{novelty:.1%}".replace("%", "\u00a0%"))


def test_an_answer_that_is_not_accepted_names_the_two_most_probable_digits_and_speaks_them(
    open_page: OpenPage, knowing: Server
) -> None:
    page = open_page(url=knowing.url)
    show_sample(page, knowing, accepted=True)
    calm = page.locator("#sure").evaluate("it => getComputedStyle(it).color")
    first, second = np.argsort(-show_sample(page, knowing, accepted=False))[:2]
    words = f"Not sure: it could be {first} or {second}."
    expect(page.locator("#sure")).to_have_text(words)
    expect(page.locator("#spoken")).to_have_text(words)
    assert page.locator("#sure").evaluate("it => getComputedStyle(it).color") != calm
    assert {int(text) for text in page.locator("#bars .best b").all_text_contents()} == {first, second}


def test_what_is_no_digit_is_said_not_to_look_like_one(open_page: OpenPage, knowing: Server) -> None:
    page = open_page(url=knowing.url)
    draw(page, NO_DIGIT)
    expect(page.locator("#sure")).to_contain_text("This does not look like a digit; the nearest is")
    page.wait_for_timeout(300)
    found = answers(knowing, [pixels_shown(page, "seen")])
    assert (found["novelty"][0] > MAX_NOVELTY, found["accepted"][0]) == (True, False)
    words = f"This does not look like a digit; the nearest is {found['digits'][0]}."
    expect(page.locator("#sure")).to_have_text(words)
    expect(page.locator("#spoken")).to_have_text(words)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("look", ["doubtful", "novel"])
def test_axe_finds_nothing_where_an_answer_is_not_accepted(
    open_page: OpenPage, knowing: Server, look: str, scheme: str
) -> None:
    page = open_page(url=knowing.url, size=PHONE, color_scheme=scheme)
    if look == "novel":
        draw(page, NO_DIGIT)
    else:
        show_sample(page, knowing, accepted=False)
    expect(page.locator("#answer")).to_have_attribute("data-look", look)
    report = Axe().run(page)
    assert report.violations_count == 0, report.generate_report()


def answered_batch(page: Page, images: np.ndarray) -> None:
    content = idx_bytes(images.reshape(-1, 28, 28))
    file = {"name": "t10k", "mimeType": "application/octet-stream", "buffer": content}
    page.locator("#files").set_input_files([file])  # pyright: ignore[reportArgumentType]
    expect(page.locator("#progress")).to_contain_text(f"{len(images)} answered")


def shown_places(page: Page) -> list[int]:
    """Return which image of the file each picture shown is, in the order shown."""
    titles = page.locator("#grid li").evaluate_all("them => them.map((it) => it.title)")
    return [int(re.findall(r"picture (\d+)", title)[0]) for title in titles]


def test_many_are_sorted_by_novelty_and_those_accepted_are_counted(
    open_page: OpenPage, knowing: Server, mnist: Mnist, tmp_path: Path
) -> None:
    page, images = open_page("#batch", url=knowing.url), mnist.test.images[:300]
    answered_batch(page, images)
    found = answers(knowing, images.tolist())
    assert 0 < found["accepted"].sum() < 300
    expect(page.locator("#progress")).to_have_text(f"300 answered, {found['accepted'].sum()} of them accepted.")
    page.get_by_label("Sort by").select_option("novelty")
    places = shown_places(page)
    assert len(places) == 120
    assert np.all(np.diff(found["novelty"][places]) <= 0)
    assert found["novelty"][places[-1]] >= np.sort(found["novelty"])[-120]
    assert page.locator("#grid .doubtful").count() == np.sum(~found["accepted"][places])
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "digits.csv")
    rows = list(csv.DictReader((tmp_path / "digits.csv").open()))
    assert [float(row["novelty"]) for row in rows] == pytest.approx(found["novelty"].tolist(), abs=1e-6)
    assert [row["accepted"] == "true" for row in rows] == found["accepted"].tolist()


def test_a_version_without_novelty_has_no_words_for_it(open_page: OpenPage, not_linear: Server, mnist: Mnist) -> None:
    page = open_page(url=not_linear.url)
    draw(page, NO_DIGIT)
    expect(page.locator("#sure")).to_contain_text(re.compile(r"\d sure$|% sure$"))
    expect(page.locator("#novelty")).to_be_empty()
    page.evaluate("location.hash = '#batch'")
    answered_batch(page, mnist.test.images[:200])
    expect(page.locator("#progress")).to_contain_text("of them less than 60\u00a0% sure")
    assert page.locator("#by-novelty").is_disabled()
    page.evaluate("location.hash = '#model'")
    for figure in ("#coverage-figure", "#behaviour-figure"):
        expect(page.locator(figure)).to_be_hidden()


def test_the_model_shows_what_it_accepts_and_how_robust_it_is(open_page: OpenPage, knowing: Server) -> None:
    page = open_page("#model", url=knowing.url)
    test = httpx.get(f"{knowing.url}/model").json()["test"]
    facts = page.locator("#facts")
    expect(facts).to_contain_text("softmax: one layer, from pixels to probabilities")
    expect(facts).to_contain_text("temperature 1.234; on test, the calibration error was 0.0172 before and is")
    expect(facts).to_contain_text(f"{test['calibration_error']:.4f}, the loss was 0.2611 and is {test['loss']:.4f} nats")
    expect(facts).to_contain_text(
        "answers that are at least 90.0\u00a0% sure, of pictures whose novelty is at most 97.0\u00a0%"
    )
    expect(page.locator("#coverage-words")).to_contain_text(
        "it accepts 62.5\u00a0% of the test digits and is right in 99.00\u00a0% of these (98.60\u00a0% to 99.40\u00a0%,"
    )
    assert page.locator("#behaviour dt").all_text_contents() == list(KNOWS["behaviour"])  # pyright: ignore[reportArgumentType]
    assert page.locator("#behaviour dd").all_text_contents() == ["61.3\u00a0%", "87.4\u00a0%"]
