import json

import numpy as np
import pytest

from benchmarks.scenarios import JSON, RAW, SQUARE_JSON, Form, Scenario, all_scenarios

IMAGES = np.arange(2 * 784, dtype=np.uint8).reshape(2, 784)


@pytest.mark.parametrize(
    ("form", "read"),
    [
        (JSON, lambda body: json.loads(body)["images"]),
        (SQUARE_JSON, lambda body: np.array(json.loads(body)["images"]).reshape(2, 784)),
        (RAW, lambda body: np.frombuffer(body, np.uint8).reshape(-1, 784)),
    ],
    ids=["flat", "square", "raw"],
)
def test_every_form_holds_the_same_pixels(form: Form, read) -> None:
    assert np.array_equal(read(form.encode(IMAGES)), IMAGES)


def test_the_square_form_is_rows_of_28() -> None:
    assert np.shape(json.loads(SQUARE_JSON.encode(IMAGES))["images"]) == (2, 28, 28)


def test_every_scenario_has_a_name_of_its_own() -> None:
    names = [str(each) for each in all_scenarios()]
    assert len(set(names)) == len(names) == 12
    assert str(Scenario(RAW, 1024, 2)) == "1,024 images, raw bytes, 2 connections"
