"""Batch: what is sent, shown, counted and announced while many images are answered, and what can be taken away."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from tests.support.batch import answered, choose, digits_in_order, file, files_of, grid, problems
from tests.support.page import CUT_OFF, DESKTOP, PHONE, OpenPage
from tests.support.serving import Server
from tests.support.training import idx_bytes
from training.data import Mnist

# Keeps what the element of this id says after each change of it.
RECORD = """id => {
  const it = document.getElementById(id);
  window.changes = [];
  new MutationObserver(() => changes.push(it.textContent)).observe(it, { childList: true });
}"""


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page("#batch", expected="400 (Bad Request)")


def idx(images: np.ndarray) -> dict:
    return file("t10k-images", idx_bytes(images.reshape(-1, 28, 28)))


def requests_of(page: Page) -> list[str]:
    """Return a list that gets the address of each prediction that the page asks for."""
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/predict" in request.url else None)
    return asked


def test_a_file_of_many_is_answered_sorted_by_doubt_and_taken_away_as_csv(
    page: Page, mnist: Mnist, server: Server, tmp_path: Path
) -> None:
    images = mnist.test.images[:300]
    choose(page, idx(images))
    answered(page, 300)
    expected = httpx.post(f"{server.url}/predict", json={"images": images.tolist()}).json()
    confidences = [sure for _, sure in grid(page)]
    assert confidences == sorted(confidences)
    assert len(confidences) == 120
    assert digits_in_order(page) == expected["digits"][:120]
    page.get_by_role("button", name="Show more").click()
    assert len(grid(page)) == 240
    page.keyboard.press("Enter")
    assert len(grid(page)) == 300
    assert page.evaluate("document.activeElement.id") == "grid"  # the button has gone, and the focus with it otherwise
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "digits.csv")
    rows = list(csv.DictReader((tmp_path / "digits.csv").open()))
    assert [int(row["digit"]) for row in rows] == expected["digits"]
    assert float(rows[0]["p7"]) == pytest.approx(expected["probabilities"][0][7], abs=1e-7)


def test_a_thousand_pictures_go_in_a_few_requests_and_the_grid_is_drawn_twice(page: Page, mnist: Mnist) -> None:
    asked = requests_of(page)
    page.evaluate(RECORD, "grid")
    choose(page, *files_of(mnist.test.images[:1000]))
    answered(page, 1000)
    assert len(asked) == 10
    assert len(page.evaluate("changes")) == 2
    assert digits_in_order(page)[:6] == mnist.test.labels[:6].tolist()


def test_sixty_thousand_images_go_in_sixty_requests(page: Page, mnist: Mnist, tmp_path: Path) -> None:
    path, images = tmp_path / "images", np.concatenate([mnist.train.images, mnist.test.images])[:60_000]
    path.write_bytes(idx_bytes(images.reshape(-1, 28, 28)))
    asked = requests_of(page)
    page.locator("#files").set_input_files(path)
    answered(page, 60_000)
    assert len(asked) == 60
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert sum(1 for _ in download.value.path().open()) == 60_001


def test_the_status_is_not_spoken_for_every_part(page: Page, mnist: Mnist) -> None:
    expect(page.locator("#progress")).to_be_hidden()
    page.evaluate(RECORD, "progress")
    choose(page, idx(mnist.test.images[:9000]))
    answered(page, 9000)
    said = page.evaluate("changes")
    assert said[0] == "Reading …"
    assert len(said) == 2


def held_back(page: Page, after: int) -> list[Route]:
    """Hold the requests after the first few back, and return a list of them."""
    asked, held = [], []

    def hold(route: Route) -> None:
        asked.append(route)
        if len(asked) > after:
            held.append(route)
        else:
            route.continue_()

    page.route("**/predict*", hold)
    return held


def test_a_run_shows_how_far_it_is_and_is_cancelled_by_keyboard(page: Page, mnist: Mnist) -> None:
    held_back(page, after=2)
    choose(page, idx(mnist.test.images[:4000]))
    expect(page.locator("#count")).to_have_text("2,000 answered")
    bar = page.get_by_role("progressbar", name="Files answered")
    assert bar.evaluate("bar => bar.value / bar.max") == pytest.approx(0.5)
    page.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#progress")).to_contain_text("Cancelled: 2,000 answered")
    expect(bar).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == "files"
    assert len(grid(page)) == 120
    assert problems(page) == []


def test_other_files_take_the_place_of_those_that_are_being_answered(page: Page, mnist: Mnist) -> None:
    held = held_back(page, after=0)
    choose(page, idx(mnist.test.images[:100]))
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.wait_for_timeout(300)
    assert len(held) == 1
    page.unroute("**/predict*")
    choose(page, *files_of(mnist.test.images[:3]))
    answered(page, 3)
    page.wait_for_timeout(300)
    assert digits_in_order(page) == mnist.test.labels[:3].tolist()
    assert problems(page) == []


def test_a_service_that_goes_away_is_waited_for(open_page: OpenPage, mnist: Mnist) -> None:
    page = open_page("#batch", expected="ERR_")
    page.route("**/predict*", lambda route: route.abort())
    choose(page, *files_of(mnist.test.images[:3]))
    expect(page.locator("#progress")).to_have_text("the service does not answer. Trying again …")
    page.unroute("**/predict*")
    answered(page, 3)
    assert problems(page) == []


def test_a_service_that_is_away_as_batch_starts_or_overloaded_for_long_is_waited_for(open_page: OpenPage, mnist: Mnist) -> None:
    page, refused = open_page("#batch", expected="Failed to load resource"), []

    def overloaded(route: Route) -> None:
        refused.append(route)
        sentence = {"error": "Overloaded: the queue is full; retry after 1 s."}
        route.fulfill(status=429, headers={"retry-after": "0.01"}, json=sentence) if len(refused) < 9 else route.continue_()

    page.evaluate(RECORD, "progress")
    page.route("**/docs.json", lambda route: route.abort())
    page.route("**/predict*", overloaded)
    choose(page, *files_of(mnist.test.images[:3]))
    expect(page.locator("#progress")).to_have_text("the service does not answer. Trying again …")
    page.unroute("**/docs.json")
    answered(page, 3)
    assert problems(page) == []
    assert len(refused) == 9
    assert len(page.evaluate("changes")) <= 5  # reading, away, reading, overloaded, answered


def downloaded(page: Page, folder: Path) -> np.ndarray:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download digits.npy").click()
    download.value.save_as(folder / "digits.npy")
    return np.load(folder / "digits.npy")


def output_of(command: list[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize("count", [30, 1200])
def test_the_batch_is_a_file_and_commands_that_run_as_pasted(
    page: Page, mnist: Mnist, server: Server, tmp_path: Path, count: int
) -> None:
    images = mnist.test.images[:count]
    choose(page, idx(images))
    answered(page, count)
    page.get_by_text("Send it from a program").click()
    expect(page.locator("#batch-python")).not_to_be_empty()
    np.testing.assert_array_equal(downloaded(page, tmp_path).reshape(-1, 784), images)
    expected = [
        digit
        for start in range(0, count, 1000)
        for digit in server.predict(images[start : start + 1000].tobytes(), "application/octet-stream").json()["digits"]
    ]
    shell = output_of(["bash", "-c", page.locator("#batch-curl").text_content() or ""], tmp_path)
    assert [int(digit) for each in re.findall(r'"digits":\[(.*?)\]', shell) for digit in each.split(",")] == expected
    python = output_of([sys.executable, "-c", page.locator("#batch-python").text_content() or ""], tmp_path)
    assert [int(digit) for digit in re.findall(r"\d", python)] == expected


def test_what_is_shown_and_taken_away_of_a_picture_is_what_the_model_saw(
    page: Page, mnist: Mnist, server: Server, tmp_path: Path
) -> None:
    files = files_of(mnist.test.images[:2])
    choose(page, *files)
    answered(page, 2)
    expected = [server.predict(each["buffer"], "image/png", "?seen=true").json()["seen"][0] for each in files]
    page.get_by_text("Send it from a program").click()
    assert downloaded(page, tmp_path).reshape(-1, 784).tolist() == expected
    page.get_by_label("Sort by").select_option("file")
    shown = "it => [...it.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, place) => place % 4 === 0)"
    assert [canvas.evaluate(shown) for canvas in page.locator("#grid canvas").all()] == expected


def test_what_is_taken_away_of_a_version_that_deskews_is_what_to_send_it_again(
    open_page: OpenPage, deskewed: Server, mnist: Mnist, tmp_path: Path
) -> None:
    page, images = open_page("#batch", url=deskewed.url), mnist.test.images[:20]
    choose(page, idx(images[:18]), *files_of(images[18:]))
    answered(page, 20)
    page.get_by_text("Send it from a program").click()
    sent = downloaded(page, tmp_path).reshape(-1, 784)
    np.testing.assert_array_equal(sent[-18:], images[:18])
    read = [deskewed.predict(each["buffer"], "image/png", "?seen=true").json() for each in files_of(images[18:])]
    np.testing.assert_array_equal(sent[:2], [each["before_deskewing"][0] for each in read])


@pytest.mark.parametrize("size", [DESKTOP, (390, 700), PHONE], ids=["desktop", "390", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_with_errors_a_score_and_commands(
    open_page: OpenPage, mnist: Mnist, scheme: str, size: tuple[int, int]
) -> None:
    page = open_page("#batch", size=size, color_scheme=scheme)
    broken = [file(f"scan-of-a-page-with-a-long-name-{place}.txt", b"hello") for place in range(60)]
    choose(page, idx(mnist.test.images[:500]), file("t10k-labels", idx_bytes(mnist.test.labels[:500])), *broken)
    answered(page, 500)
    page.get_by_text("Send it from a program").click()
    expect(page.locator("#batch-python")).not_to_be_empty()
    report = Axe().run(page)
    assert report.violations_count == 0, report.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.evaluate(CUT_OFF) == []


def test_an_answer_that_is_cut_off_is_asked_for_again(open_page: OpenPage, mnist: Mnist) -> None:
    page = open_page("#batch")
    page.evaluate("""() => {
      const fetched = window.fetch;
      let cut = 0;
      window.fetch = async (path, options) => {
        const answer = await fetched(path, options);
        if (!String(path).startsWith("predict") || cut++) return answer;
        return new Response(new ReadableStream({ pull: (on) => on.error(new TypeError("network error")) }));
      };
    }""")
    choose(page, *files_of(mnist.test.images[:3]))
    answered(page, 3)
    assert problems(page) == []
