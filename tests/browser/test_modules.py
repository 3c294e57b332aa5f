"""The modules without a document in them, called as functions: arithmetic."""

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page

from models.perceptron import CORNERS, learn_gate_with_hidden_layer
from tests.support.page import OpenPage
from tests.support.project import ROOT
from tests.support.serving import Server
from training.data import Mnist


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page("#model")  # of the same origin


def call(page: Page, module: str, function: str, *arguments: object) -> object:
    return page.evaluate(
        "async ([module, name, given]) => (await import(`/web/${module}.js`))[name](...given)", [module, function, arguments]
    )


def mnist_form(page: Page, ink: np.ndarray) -> np.ndarray | None:
    """Return what toMnistForm makes of ink (H, W)."""
    made = page.evaluate(
        """async ([ink, width, height]) => {
             const made = (await import("/web/maths.js")).toMnistForm(ink, width, height);
             return made && [...made];
           }""",
        [ink.ravel().tolist(), ink.shape[1], ink.shape[0]],
    )
    return None if made is None else np.array(made).reshape(28, 28)


def centre_of_mass(image: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(image.shape)
    return np.array([(rows * image).sum(), (columns * image).sum()]) / image.sum()


def test_the_arithmetic_knows_no_document() -> None:
    for name in ("maths", "learning", "samples"):
        source = (ROOT / f"service/web/{name}.js").read_text()
        assert not any(word in source for word in ("document.", "window.", "fetch(", "querySelector")), name


def test_ink_is_fitted_into_twenty_pixels_with_its_centre_of_mass_in_the_middle(page: Page) -> None:
    ink = np.zeros((90, 200), np.uint8)
    ink[10:70, 30:50] = 255  # 60 high and 20 wide, and a foot that pulls the centre to the lower right
    ink[60:70, 50:60] = 255
    made = mnist_form(page, ink)
    assert made is not None
    rows, columns = np.nonzero(made)
    assert np.ptp(rows) + 1 == 20
    assert np.ptp(columns) + 1 == 10
    assert np.abs(centre_of_mass(made) - 14).max() <= 0.5  # counted from 0, as MNIST does
    assert made.max() == 255


def test_where_and_how_large_it_was_drawn_makes_no_difference(page: Page) -> None:
    small = np.zeros((100, 100), np.uint8)
    small[10:50, 20:28] = 200
    large = np.zeros((300, 260), np.uint8)
    large[100:220, 200:224] = 200
    np.testing.assert_array_equal(mnist_form(page, small), mnist_form(page, large))


def test_without_ink_there_is_no_picture(page: Page) -> None:
    assert mnist_form(page, np.zeros((28, 28), np.uint8)) is None


ENLARGED_AND_BACK = """async (images) => {
  const { toMnistForm } = await import("/web/maths.js");
  const enlarge = (image) => (_, at) => image[28 * Math.floor(at / 112 / 4) + Math.floor((at % 112) / 4)];
  return images.map((image) => [...toMnistForm(Array.from({ length: 112 * 112 }, enlarge(image)), 112, 112)]);
}"""


def test_mnists_own_digits_stay_what_they_are(page: Page, mnist: Mnist, server: Server) -> None:
    images = mnist.test.images[:300]
    made = np.array(page.evaluate(ENLARGED_AND_BACK, images.tolist()))
    pairs = zip(made.reshape(-1, 28, 28), images.reshape(-1, 28, 28), strict=True)
    moved = [np.abs(centre_of_mass(one) - centre_of_mass(other)).max() for one, other in pairs]
    before, after = (accuracy(server, each, mnist.test.labels[:300]) for each in (images, made))
    print(f"centre of mass moved by {max(moved):.2f} pixels at most; accuracy {before:.1%} before, {after:.1%} after")
    assert max(moved) < 0.1
    assert after >= before - 0.01


def accuracy(server: Server, images: np.ndarray, labels: np.ndarray) -> float:
    answer = httpx.post(f"{server.url}/predict", json={"images": images.tolist()}).json()
    return float((np.array(answer["digits"]) == labels).mean())


def test_the_evidence_is_each_pixels_term_of_the_logit(page: Page) -> None:
    random = np.random.default_rng(0)
    weights, biases, pixels = random.normal(size=(784, 10)), random.normal(size=10), random.integers(0, 256, 784)
    model = {"weights": weights.tolist(), "biases": biases.tolist()}
    script = """async (given) => {
      const found = (await import("/web/maths.js")).evidence(...given);
      return { ...found, shares: [...found.shares] };
    }"""
    found = page.evaluate(script, [model, pixels.tolist(), 3])
    np.testing.assert_allclose(found["shares"], weights[:, 3] * pixels / 255)
    assert found["logit"] == pytest.approx(pixels / 255 @ weights[:, 3] + biases[3])
    assert found["speaking"] + found["objecting"] + found["bias"] == pytest.approx(found["logit"])


def area(polygon: list[list[float]]) -> float:
    x, y = np.array(polygon).T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def test_a_line_cuts_the_square_into_what_lies_on_its_two_sides(page: Page) -> None:
    square = [[0, 0], [1, 0], [1, 1], [0, 1]]
    corner = call(page, "maths", "clip", square, [1, 1], -1.5)
    assert area(corner) == pytest.approx(0.125)  # pyright: ignore[reportArgumentType]
    assert call(page, "maths", "clip", square, [1, 0], 2) == square
    assert call(page, "maths", "clip", square, [1, 0], -2) == []
    ends = call(page, "maths", "lineIn", square, [1, 1], -1.5)
    assert sorted(ends) == [[0.5, 1], [1, 0.5]]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("target", ["0110", "1001", "1011"])
def test_the_regions_of_the_hidden_layer_answer_as_the_network_does(page: Page, server: Server, target: str) -> None:
    units = httpx.get(f"{server.url}/perceptron", params={"target": target, "hidden": 1}).json()["units"]
    last = [unit["epochs"][-1] for unit in units]
    plane = [[-0.3, -0.3], [1.3, -0.3], [1.3, 1.3], [-0.3, 1.3]]
    found = call(page, "maths", "regions", last, plane)
    assert sum(area(region["polygon"]) for region in found) == pytest.approx(1.6**2)  # pyright: ignore[reportGeneralTypeIssues]
    left, right, output = learn_gate_with_hidden_layer(target)
    answers = [output.answer((left.answer(corner), right.answer(corner))) for corner in CORNERS]
    assert [call(page, "maths", "answer", last, list(corner)) for corner in CORNERS] == answers


def test_the_film_shows_hidden_units_side_by_side_and_the_output_after_them(page: Page, server: Server) -> None:
    units = httpx.get(f"{server.url}/perceptron", params={"target": "0110", "hidden": 1}).json()["units"]
    frames = call(page, "maths", "film", units)
    assert isinstance(frames, list)
    hidden = max(len(unit["epochs"]) for unit in units[:2])
    assert [frame["learning"] for frame in frames] == ["hidden"] * hidden + ["output"] * len(units[2]["epochs"])
    assert (frames[-1]["errors"], frames[-1]["last"]) == (0, True)
    assert frames[0]["errors"] == units[0]["epochs"][0]["errors"] + units[1]["epochs"][0]["errors"]
