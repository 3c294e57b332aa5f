"""Versions in the store of this process, without a fit for each."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from models.card import BENTOML_FILE, CARD_FILE, LITERT_FILE, ModelCard, sha256_of_files
from tests.support.store import SCHEMA_1, AddVersion, MakeVersion
from training.assessment import Candidate, assess
from training.data import Mnist
from training.fit import fit
from training.recipes import RECIPES
from training.store import add


@pytest.fixture
def make_version(tmp_path: Path) -> MakeVersion:
    """Return a function that makes a version of a few bytes outside the store, whole as far as its card can tell."""

    def make(version: str, *, replace: bool = False) -> Path:
        folder = tmp_path / "made" / version
        if replace:
            shutil.rmtree(folder, ignore_errors=True)
        (folder / "saved_model" / "variables").mkdir(parents=True)
        for path in (LITERT_FILE, "saved_model/saved_model.pb", "saved_model/variables/variables.index"):
            (folder / path).write_text(f"{path} of {version}")
        description = (SCHEMA_1 / BENTOML_FILE).read_text().replace(SCHEMA_1.name, version)
        (folder / BENTOML_FILE).write_text(description)
        card = ModelCard.read(SCHEMA_1).model_copy(update={"version": version, "sha256": sha256_of_files(folder)})
        (folder / CARD_FILE).write_text(card.model_dump_json())
        return folder

    return make


@pytest.fixture
def old(make_version: MakeVersion, versions_folder: Path) -> Path:
    """Return the folder of the versions in a store that serves the version `old`."""
    add(make_version("old"))
    return versions_folder


@pytest.fixture
def add_version(published_home: Path, versions_folder: Path) -> AddVersion:
    """Return a function that puts a copy of the published version into this store, changes its card and serves it."""
    original = next(path for path in (published_home / "models" / versions_folder.name).iterdir() if path.is_dir())

    def copy(version: str, **changes: object) -> ModelCard:
        folder = Path(shutil.copytree(original, versions_folder / version))
        card = ModelCard.read(folder).model_copy(update={"version": version, **changes})
        (folder / CARD_FILE).write_text(card.model_dump_json())
        (versions_folder / "latest").write_text(version)
        return card

    return copy


@pytest.fixture(scope="session")
def candidate(mnist: Mnist) -> Candidate:
    """Return what two epochs on MNIST make: 92.7 % on validation."""
    recipe = replace(RECIPES["baseline"], epochs=2)
    return assess(recipe, fit(recipe, mnist.train, mnist.validation), mnist)
