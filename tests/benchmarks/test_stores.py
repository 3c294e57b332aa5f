"""Which version of a recipe is measured."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.stores import copy_alone, newest_by_recipe, newest_of, store_with
from models.card import CARD_FILE
from models.digits import MODEL_NAME
from tests.support.store import published_version


def test_the_newest_version_of_a_recipe_is_measured(home: Path) -> None:
    version = published_version(home)
    content = json.loads((version / CARD_FILE).read_text())
    for name, changes in {"older": {"created": "2020-01-01T00:00:00Z"}, "other": {"recipe": {"name": "sgd"}}}.items():
        (version.parent / name).mkdir()
        (version.parent / name / CARD_FILE).write_text(json.dumps(content | {"version": name} | changes))
    assert newest_by_recipe(home) == {"baseline": version, "sgd": version.parent / "other"}
    assert newest_of("baseline", home) == version
    assert newest_of("sgd", home).name == "other"
    with pytest.raises(RuntimeError, match="has no version of conv; publish one with `python -m training --recipe conv`"):
        newest_of("conv", home)


def test_a_copy_alone_is_a_store_that_serves_the_version_and_has_no_other(home: Path, tmp_path: Path) -> None:
    version = published_version(home)
    shutil.copytree(version, version.parent / "other")
    copy_alone(version, tmp_path / "alone")
    assert [each.name for each in (tmp_path / "alone/models" / MODEL_NAME).iterdir() if each.is_dir()] == [version.name]
    assert published_version(tmp_path / "alone").name == version.name


def test_a_store_that_is_given_is_used_as_it_is(home: Path) -> None:
    with store_with(home, ["conv"]) as used:
        assert used == home
    assert list(newest_by_recipe(home)) == ["baseline"]
