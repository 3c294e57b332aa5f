import json
import re
import shutil
import stat
from pathlib import Path

import bentoml
import keras
import numpy as np
import pytest

from models.card import (
    CARD_FILE,
    GOLDEN_FILE,
    KERAS_FILE,
    LITERT_FILE,
    PARITY_TOLERANCE,
    SCHEMA_VERSION,
    WEIGHTS_FILE,
    ModelCard,
)
from models.exported import Graph, Outputs
from tests.support.candidates import right_on
from tests.support.project import ROOT
from tests.support.store import AddVersion, published_version
from training import export as exporting
from training import publish as publishing
from training import store
from training.assessment import Candidate
from training.data import Mnist
from training.publish import NotPublished, publish
from training.store import served_version

PICTURES = {"confusion.png", "coverage.png", "learning_curve.png", "reliability.png", "weights.png"}
LITERT_FILES = {"model.tflite", "model_with_novelty.tflite"}
PARTS = {"weights.npz", "model.keras", "saved_model", "card.json", "golden.npz", "pictures", "model.yaml"} | LITERT_FILES


@pytest.fixture(scope="module")
def version(published_home: Path) -> Path:
    """Return the folder of the version that the command line has published."""
    return published_version(published_home)


def test_a_published_version_has_every_file_and_the_card_knows_them(version: Path):
    assert {path.name for path in version.iterdir()} == PARTS
    assert len(list((version / "pictures").iterdir())) == 5
    card = ModelCard.read(version)
    card.check_files(version)
    assert {KERAS_FILE, LITERT_FILE, GOLDEN_FILE, "saved_model/saved_model.pb", "pictures/weights.png"} <= card.sha256.keys()


def test_the_card_says_where_the_model_comes_from(version: Path, mnist: Mnist):
    card = ModelCard.read(version)
    assert card.tag == f"digit-classifier:{version.name}"
    assert card.recipe | {"name": "baseline", "seed": 0, "epochs": 20} == card.recipe
    assert (card.schema_version, card.architecture) == (SCHEMA_VERSION, "softmax")
    assert card.capabilities == ("linear_evidence", "novelty")
    assert (card.num_parameters, card.bundled_data, card.forced) == (7850, True, None)
    assert (card.validation.images, card.test.images) == (5000, 10_000)
    assert card.data_sha256 == mnist.sha256
    assert card.libraries["keras"] == keras.__version__
    assert card.parity.keys() == {"litert", "saved_model", "litert_novelty", "saved_model_novelty"}
    probabilities = card.parity["litert"], card.parity["saved_model"]
    assert max(probabilities) <= card.parity_tolerance / 2  # of one seed; others come up to 1.4e-6
    assert card.git_commit is None or re.fullmatch("[0-9a-f]{40}(-dirty)?", card.git_commit)
    assert (card.git_commit is not None) == ((ROOT / ".git").exists() and shutil.which("git") is not None)


def test_the_card_is_json_that_people_can_read(version: Path):
    text = (version / CARD_FILE).read_text()
    assert json.loads(text)["recipe"]["name"] == "baseline"
    assert len(text.splitlines()) > 50


def test_the_golden_digits_are_64_with_the_probabilities_of_keras(version: Path, mnist: Mnist):
    classifier = keras.models.load_model(version / KERAS_FILE)
    assert isinstance(classifier, keras.Sequential)
    with np.load(version / GOLDEN_FILE) as golden:
        assert np.array_equal(golden["images"], mnist.test.images[:64])
        assert np.array_equal(golden["labels"], mnist.test.labels[:64])
        answered = np.asarray(classifier(golden["images"].astype(np.float32)))
        np.testing.assert_allclose(golden["probabilities"], answered, rtol=0, atol=1e-6)


def test_another_user_may_read_a_published_version(version: Path):
    assert stat.S_IMODE(version.stat().st_mode) == 0o755


def test_a_publication_writes_what_was_fitted_and_measured_and_is_the_latest(
    candidate: Candidate, add_version: AddVersion, versions_folder: Path, capfd: pytest.CaptureFixture[str]
):
    add_version("before", validation=right_on(candidate, 4720).validation)
    worse = right_on(candidate, 4600)
    tag = publish(worse, force=True)
    assert capfd.readouterr() == ("", "")
    folder = versions_folder / str(served_version())
    card = ModelCard.read(folder)
    card.check_files(folder)
    assert card.parity.keys() == {"litert", "saved_model", "litert_novelty", "saved_model_novelty"}
    assert card.forced == (
        "validation accuracy is 92.00%, and digit-classifier:before, which is served now, has 94.40%; "
        "at most 0.5 points less is allowed"
    )
    assert (folder / CARD_FILE).read_text().startswith('{\n  "schema_version": ')
    assert {path.name for path in folder.iterdir()} == PARTS
    assert {path.name for path in (folder / "pictures").iterdir()} == PICTURES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    weights, biases = worse.fit.classifier.get_weights()
    with np.load(folder / WEIGHTS_FILE) as saved:
        assert np.array_equal(saved["weights"], weights)
        assert np.array_equal(saved["biases"], biases)
    with np.load(folder / GOLDEN_FILE) as golden:
        assert np.array_equal(golden["images"], worse.data.test.images[:64])
        assert np.array_equal(golden["labels"], worse.data.test.labels[:64])
        answered = np.asarray(worse.fit.classifier(golden["images"].astype(np.float32)))
        np.testing.assert_allclose(golden["probabilities"], answered, rtol=0, atol=1e-6)
        scores = np.asarray(worse.novelty_model(golden["images"].astype(np.float32)))
        np.testing.assert_allclose(golden["novelty"], scores, rtol=1e-6)
    known = ("validation", "test", "calibration", "novelty", "thresholds", "acceptance", "coverage")
    assert [getattr(card, each) for each in known] == [getattr(worse, each) for each in known]
    latest = bentoml.models.get("digit-classifier:latest")
    assert (str(latest.tag), latest.info.labels) == (tag, {"recipe": "baseline"})
    assert card.tag == tag
    assert (versions_folder / "before").is_dir()


def shifted(outputs: Outputs, error: float) -> Outputs:
    return Outputs(outputs.probabilities + np.float32(error), outputs.novelty)


@pytest.mark.parametrize(("export", "error", "force"), [("litert", 2 * PARITY_TOLERANCE, True), ("saved_model", np.nan, False)])
def test_an_export_that_does_not_compute_what_keras_does_is_not_published_even_by_force(
    candidate: Candidate, versions_folder: Path, monkeypatch: pytest.MonkeyPatch, export: str, error: float, force: bool
):
    load = getattr(exporting, f"load_{export}")

    def load_shifted(folder: Path) -> Graph:
        run = load(folder)
        return lambda images, with_novelty: shifted(run(images, with_novelty), error)

    monkeypatch.setattr(exporting, f"load_{export}", load_shifted)
    with pytest.raises(NotPublished) as refused:
        publish(candidate, force)
    refusal = refused.value
    difference = rf"the {export} export differs from Keras by up to (\d\.\de-\d\d|nan) on the test digits"
    assert re.fullmatch(rf"{difference}; at most 3e-06 is allowed", str(refusal))
    assert (refusal.is_failure, refusal.can_be_forced) == (True, False)
    assert not versions_folder.exists()
    assert served_version() is None


def test_what_interrupts_the_making_of_the_files_reaches_no_store(
    candidate: Candidate, versions_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def draw(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "draw_pictures", draw)
        with pytest.raises(KeyboardInterrupt):
            publish(candidate)
    assert not versions_folder.exists()
    assert publish(candidate) == f"digit-classifier:{served_version()}"


def test_files_that_cannot_be_removed_after_a_publication_are_no_failure(
    candidate: Candidate, versions_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def rmtree(*_: object, **__: object) -> None:
        raise OSError("busy")

    add = store.add

    def add_and_break(made: Path) -> None:
        add(made)
        monkeypatch.setattr("os.rmdir", rmtree)

    monkeypatch.setattr(store, "add", add_and_break)
    tag = publish(candidate)
    monkeypatch.undo()
    assert tag == f"digit-classifier:{served_version()}"


def test_force_where_nothing_is_against_it_is_not_mentioned_in_the_card(candidate: Candidate, versions_folder: Path):
    publish(candidate, force=True)
    assert ModelCard.read(versions_folder / str(served_version())).forced is None
