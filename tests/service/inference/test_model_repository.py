"""Which versions are found in the store, proved and served, and the sentence that refuses each of the others."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.card import CARD_FILE, GOLDEN_FILE, LITERT_FILE, WEIGHTS_FILE, ModelCard
from models.digits import EXPECTED, MODEL_NAME
from models.engine import Device, Engine, load_engine
from models.exported import Outputs
from service.inference.model_loading import ModelLoadError, find_version
from service.inference.model_repository import ModelRepository
from tests.support.store import LATEST, copy_version, corrupt, half_written, make_latest, reseal


def test_a_whole_version_is_loaded_proved_and_served(published_store: Path) -> None:
    repository = ModelRepository(LATEST, "cpu")
    version = repository.load()
    assert repository.served is version
    assert version.folder == published_store / version.card.version
    assert version.card == ModelCard.read(version.folder)
    assert (version.engine.runtime, version.engine.device) == ("litert", "cpu")
    with np.load(version.folder / GOLDEN_FILE) as golden, np.load(version.folder / WEIGHTS_FILE) as weights:
        assert np.array_equal(version.golden_image, golden["images"][:1])
        assert version.linear is not None
        assert np.array_equal(version.linear.weights, weights["weights"])
        assert np.array_equal(version.linear.biases, weights["biases"])


def test_a_version_whose_card_does_not_promise_evidence_has_none(published_store: Path) -> None:
    folder, _ = find_version(LATEST)
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | {"capabilities": []}))
    assert ModelRepository(LATEST, "cpu").load().linear is None


def with_golden(folder: Path, **changed: Any) -> None:
    with np.load(folder / GOLDEN_FILE) as golden:
        arrays = dict(golden) | changed
    np.savez_compressed(folder / GOLDEN_FILE, **arrays)
    reseal(folder)


def with_one_probability(folder: Path, change: float) -> None:
    """Add `change` to what was published for one of the golden digits."""
    with np.load(folder / GOLDEN_FILE) as golden:
        probabilities = golden["probabilities"]
    probabilities[63, 3] += change
    with_golden(folder, probabilities=probabilities)


def test_a_version_that_answers_its_golden_digits_otherwise_is_refused(published_store: Path) -> None:
    folder, _ = find_version(LATEST)
    with_one_probability(folder, 2e-5)
    with pytest.raises(ModelLoadError, match=r"golden digits with probabilities up to [12]\.\de-05 away .* at most 3e-06"):
        ModelRepository(LATEST, "cpu").load()


def test_a_version_with_nan_among_its_published_probabilities_is_refused(published_store: Path) -> None:
    folder, _ = find_version(LATEST)
    with_one_probability(folder, np.nan)
    with pytest.raises(ModelLoadError, match="golden digits with probabilities up to nan away") as error:
        ModelRepository(LATEST, "cpu").load()
    assert error.value.reason == "golden"


def test_a_version_whose_engine_answers_nan_is_refused(published_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_broken_engine(folder: Path, device: Device) -> Engine:
        def run(images: np.ndarray, with_novelty: bool) -> Outputs:
            probabilities, novelty = engine.run(images, with_novelty)
            return Outputs(np.where(np.eye(len(images), 10, dtype=bool), np.float32(np.nan), probabilities), novelty)

        engine = load_engine(folder, device)
        return replace(engine, run=run)

    monkeypatch.setattr("service.inference.model_loading.load_engine", load_broken_engine)
    with pytest.raises(ModelLoadError, match="golden digits with probabilities up to nan away"):
        ModelRepository(LATEST, "cpu").load()


def test_golden_digits_that_are_a_pickle_are_not_loaded(published_store: Path) -> None:
    folder, _ = find_version(LATEST)
    with_golden(folder, images=np.array([{}], object))
    with pytest.raises(ModelLoadError, match=GOLDEN_FILE) as error:
        ModelRepository(LATEST, "cpu").load()
    sentence = "does not hold images and probabilities and novelty: Object arrays cannot be loaded when allow_pickle=False"
    assert str(error.value) == f"{folder / GOLDEN_FILE} {sentence}"


def test_a_half_written_version_is_refused(published_store: Path) -> None:
    folder, _ = find_version(LATEST)
    (folder / CARD_FILE).unlink()
    with pytest.raises(ModelLoadError, match=r"has no card\.json: it was not published whole"):
        find_version(LATEST)


def test_a_version_that_is_not_there_is_named_with_how_to_publish_one(versions_folder: Path) -> None:
    for tag in (f"{MODEL_NAME}:gone", LATEST):
        with pytest.raises(ModelLoadError) as error:
            find_version(tag)
        assert error.value.reason == "missing"
        assert str(error.value) == f"{tag} is not in the BentoML store; `make train` (python -m training) publishes one."


def not_described(folder: Path) -> None:
    (folder / "model.yaml").unlink()


def misdescribed(folder: Path) -> None:
    (folder / "model.yaml").write_text("labels: [\nname: {")


def of_another_version(folder: Path) -> None:
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | {"version": "another"}))


def with_a_file_too_many(folder: Path) -> None:
    (folder / "notes").touch()


def truncated(folder: Path) -> None:
    (folder / LITERT_FILE).write_bytes((folder / LITERT_FILE).read_bytes()[:500])
    reseal(folder)


def of_another_shape(folder: Path) -> None:
    np.savez_compressed(folder / WEIGHTS_FILE, weights=np.zeros((784, 9), np.float32), biases=np.zeros(9, np.float32))
    reseal(folder)


def of_another_type(folder: Path) -> None:
    np.savez_compressed(folder / WEIGHTS_FILE, weights=np.zeros((784, 10), bool), biases=np.zeros(10, np.float32))
    reseal(folder)


def without_biases(folder: Path) -> None:
    np.savez_compressed(folder / WEIGHTS_FILE, weights=np.zeros((784, 10), np.float32))
    reseal(folder)


def with_empty_golden_digits(folder: Path) -> None:
    (folder / GOLDEN_FILE).write_bytes(b"")
    reseal(folder)


def with_half_of_its_golden_digits(folder: Path) -> None:
    (folder / GOLDEN_FILE).write_bytes((folder / GOLDEN_FILE).read_bytes()[:2000])
    reseal(folder)


def of_no_golden_digits(folder: Path) -> None:
    with_golden(folder, images=np.zeros((0, 784)))


def of_too_many_golden_digits(folder: Path) -> None:
    with_golden(folder, images=np.zeros((65, 784)))


def of_other_novelty(folder: Path) -> None:
    with_golden(folder, novelty=np.full(64, 1e9, np.float32))


def of_fewer_novelty_scores(folder: Path) -> None:
    with_golden(folder, novelty=np.ones(63, np.float32))


def of_another_mind(folder: Path) -> None:
    probabilities = np.zeros((64, 10), np.float32)
    probabilities[:, 0] = 2
    with_golden(folder, probabilities=probabilities)


# Of each: the reason that is counted, and the sentence.
FLAWS = {
    half_written: ("incomplete", "{tag} cannot be served: {folder} has no card.json: it was not published whole."),
    not_described: (
        "incomplete",
        "{tag} cannot be served: Failed to load bento model because it does not contain a 'model.yaml'",
    ),
    misdescribed: ("incomplete", "{tag} cannot be served: while parsing a flow node"),
    of_another_version: (
        "incomplete",
        "{tag} cannot be served: the card in {folder} is that of digit-classifier:another.",
    ),
    corrupt: (
        "changed",
        "{tag} cannot be served: {folder}/model.tflite differs from what it was when it was published, by the card of {tag}.",
    ),
    with_a_file_too_many: ("changed", "{tag} cannot be served: {folder}/notes is not in the card of {tag}."),
    truncated: ("internal", "{tag} cannot be served: its graph cannot be loaded: The model is not a valid Flatbuffer buffer"),
    of_another_shape: ("shape", "{folder}/weights.npz has weights of shape (784, 9) and type float32, not (784, 10)."),
    of_another_type: ("shape", "{folder}/weights.npz has weights of shape (784, 10) and type bool, not (784, 10)."),
    without_biases: (
        "shape",
        "{folder}/weights.npz does not hold weights and biases: 'biases is not a file in the archive'",
    ),
    with_empty_golden_digits: (
        "shape",
        "{folder}/golden.npz does not hold images and probabilities and novelty: No data left in file",
    ),
    with_half_of_its_golden_digits: (
        "shape",
        "{folder}/golden.npz does not hold images and probabilities and novelty: File is not a zip file",
    ),
    of_no_golden_digits: (
        "shape",
        f"{{tag}} does not answer images of 784 pixels: images is empty; {EXPECTED}, and at least one image.",
    ),
    of_too_many_golden_digits: ("shape", "{tag} answers its golden digits with probabilities of shape (65, 10), not (64, 10)."),
    of_other_novelty: (
        "golden",
        "{tag} answers its golden digits with novelty scores up to 1.0e+09 away from what was published; "
        "at most 1e+04 is allowed.",
    ),
    of_fewer_novelty_scores: ("shape", "{tag} answers its golden digits with novelty scores of shape (64,), not (63,)."),
    of_another_mind: (
        "golden",
        "{tag} answers its golden digits with probabilities up to 2.0e+00 away from what was published; "
        "at most 3e-06 is allowed.",
    ),
}


@pytest.mark.parametrize(("spoil", "expected"), FLAWS.items(), ids=[spoil.__name__ for spoil in FLAWS])
def test_a_new_version_that_is_spoilt_is_refused_once_with_one_line(
    published_store: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None], expected: tuple[str, str]
) -> None:
    repository = ModelRepository(LATEST, "cpu")
    served = repository.load()
    folder = copy_version(published_store, served.card.version, "spoilt")
    spoil(folder)
    reason, sentence = expected[0], expected[1].format(tag=f"{MODEL_NAME}:spoilt", folder=folder)
    make_latest(published_store, "spoilt")
    caplog.clear()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            asyncio.run(repository.poll())
    assert repository.served is served
    (record,) = [record for record in caplog.records if record.name == "service.inference.model_repository"]
    assert record.getMessage() == f"{served.tag} stays served: {sentence}"
    with pytest.raises(ModelLoadError) as error:
        ModelRepository(f"{MODEL_NAME}:spoilt", "cpu").load()
    assert (error.value.reason, str(error.value)) == (reason, sentence)
