"""The page's perceptrons learn as those of models/perceptron.py do."""

from dataclasses import asdict
from itertools import islice

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page

from models.perceptron import CORNERS, MAX_EPOCHS, fit
from tests.support.page import OpenPage
from tests.support.serving import Server


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page("#model")  # of the same origin


def train(page: Page, *given: object) -> list[dict]:
    return page.evaluate("async given => (await import('/web/learning.js')).train(...given)", given)


@pytest.mark.parametrize("hidden", [0, 1])
@pytest.mark.parametrize("target", ["0001", "0111", "0110", "1001"])
def test_the_page_learns_what_the_service_does(page: Page, server: Server, target: str, hidden: int) -> None:
    for rate, seed in ((0.05, 0), (0.1, 7), (1, 2)):
        given = {"target": target, "learning_rate": rate, "seed": seed, "hidden": hidden}
        units = httpx.get(f"{server.url}/perceptron", params=given).json()["units"]
        starts = [[*unit["epochs"][0]["weights"], unit["epochs"][0]["bias"]] for unit in units]
        learned = train(page, CORNERS, target, rate, starts, MAX_EPOCHS)
        assert learned == [{"epochs": unit["epochs"]} for unit in units]


def test_the_page_learns_any_points_as_the_rule_says(page: Page) -> None:
    random = np.random.default_rng(1)
    for count in (1, 5, 12, 20):
        points, start = random.uniform(-0.2, 1.2, (count, 2)).round(2).tolist(), random.normal(size=3).tolist()
        target = "".join(random.choice(["0", "1"], count))
        classes = [1 if digit == "1" else -1 for digit in target]
        expected = [asdict(each) for each in islice(fit(points, classes, 0.2, start), 101)]
        (unit,) = train(page, points, target, 0.2, [start], 100)
        assert [epoch["errors"] for epoch in unit["epochs"]] == [epoch["errors"] for epoch in expected]
        for learned, wanted in zip(unit["epochs"], expected, strict=True):
            assert [*learned["weights"], learned["bias"]] == pytest.approx([*wanted["weights"], wanted["bias"]], abs=1e-12)
