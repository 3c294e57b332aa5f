"""Versions in the store of this process, without a fit for each."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from models.card import BENTOML_FILE, CARD_FILE, KERAS_FILE, LITERT_FILE, Evaluation, ModelCard, sha256_of_files
from tests.support.store import SCHEMA_1, AddVersion, MakeVersion, published_version
from training.assessment import Candidate, assess
from training.calibration import divide_logits
from training.data import Mnist
from training.evaluate import evaluate_probabilities
from training.fit import Fit, History
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
    original = published_version(published_home)

    def copy(version: str, **changes: object) -> ModelCard:
        folder = Path(shutil.copytree(original, versions_folder / version))
        card = ModelCard.read(folder).model_copy(update={"version": version, **changes})
        (folder / CARD_FILE).write_text(card.model_dump_json())
        (versions_folder / "latest").write_text(version)
        return card

    return copy


@pytest.fixture(scope="session")
def candidate(mnist: Mnist, published_home: Path) -> Candidate:
    """Return the model that the command line has published, as if it had been fitted here in two epochs to double logits."""
    classifier = keras.models.load_model(published_version(published_home) / KERAS_FILE)
    assert isinstance(classifier, keras.Sequential)
    divide_logits(classifier, 0.5)
    fitted = Fit(classifier, History((0.5, 0.4), (0.8, 0.9), (0.45, 0.42), (0.85, 0.91)), seconds=1.5)
    return assess(RECIPES["baseline"], fitted, mnist)


@pytest.fixture(scope="session")
def evaluation() -> Evaluation:
    """Return the measure of 400 random answers."""
    random = np.random.default_rng(0)
    return evaluate_probabilities(
        random.dirichlet(np.full(10, 0.2), 400).astype(np.float32), random.integers(0, 10, 400, np.uint8)
    )


@pytest.fixture(scope="session")
def perfect() -> Evaluation:
    digits = np.arange(10, dtype=np.uint8)
    return evaluate_probabilities(np.eye(10, dtype=np.float32), digits)
