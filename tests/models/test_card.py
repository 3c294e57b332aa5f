import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from models.card import (
    CARD_FILE,
    PARITY_TOLERANCE,
    SCHEMA_VERSION,
    Acceptance,
    Accepted,
    Calibration,
    CoverageRow,
    Evaluation,
    ModelCard,
    Novelty,
    ReliabilityBin,
    Thresholds,
    Uncalibrated,
    sha256_of_files,
)
from tests.support.store import SCHEMA_1, SCHEMA_2

EVALUATION = Evaluation(
    images=3,
    accuracy=2 / 3,
    accuracy_interval=(0.2, 0.9),
    loss=0.1 + 0.2,
    calibration_error=1e-17,
    brier_score=0.5,
    confusion=((2, 1), (0, 0)),
    reliability=(ReliabilityBin(images=3, mean_confidence=0.7, accuracy=2 / 3),),
)
UNCALIBRATED = Uncalibrated(loss=0.3, calibration_error=0.02)
ACCEPTED = Accepted(coverage=0.6, accuracy=0.99, accuracy_interval=(0.98, 0.995))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two files and the card that knows them."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "model.tflite").write_bytes(b"graph")
    (tmp_path / "inner" / "weights.bin").write_bytes(b"weights")
    (tmp_path / CARD_FILE).write_text(card_of(tmp_path).model_dump_json(indent=2))
    return tmp_path


def card_of(folder: Path) -> ModelCard:
    return ModelCard(
        schema_version=SCHEMA_VERSION,
        architecture="softmax",
        capabilities=("linear_evidence", "novelty"),
        name="digit-classifier",
        version="abc",
        created=datetime(2025, 1, 2, 3, 4, 5, 678901, UTC),
        recipe={"name": "baseline", "learning_rate": 5e-3, "epochs": 20},
        num_parameters=7850,
        fit_seconds=4.2,
        validation=EVALUATION,
        test=EVALUATION,
        calibration=Calibration(temperature=0.9, validation_before=UNCALIBRATED, test_before=UNCALIBRATED),
        novelty=Novelty(knots=((0.1 + 0.2, 0.0), (4.5, 1.0))),
        thresholds=Thresholds(min_confidence=0.9, max_novelty=0.99),
        acceptance=Acceptance(validation=ACCEPTED, test=ACCEPTED),
        coverage=(CoverageRow(coverage=1.0, accuracy=0.9, min_confidence=0.1),),
        behaviour={"a shift by one pixel": 0.98},
        data_sha256={"images": "00"},
        bundled_data=True,
        git_commit=None,
        libraries={"keras": "3"},
        parity_tolerance=3e-6,
        parity={"litert": 4.470348358154297e-07},
        forced=None,
        sha256=sha256_of_files(folder),
    )


def test_a_card_reads_back_as_it_was_written(folder: Path):
    assert ModelCard.read(folder) == card_of(folder)


def test_the_tag_is_name_and_version(folder: Path):
    assert ModelCard.read(folder).tag == "digit-classifier:abc"


def test_a_card_cannot_be_changed(folder: Path):
    with pytest.raises(ValidationError):
        ModelCard.read(folder).forced = "a reason"


def test_a_folder_without_a_card_was_not_published_whole(tmp_path: Path):
    with pytest.raises(ValueError, match=f"has no {CARD_FILE}: it was not published whole") as refused:
        ModelCard.read(tmp_path)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b'{"name": "digit-', b"\xff\xfe"])
def test_what_is_not_a_card_is_refused_by_file_name(tmp_path: Path, content: bytes):
    (tmp_path / CARD_FILE).write_bytes(content)
    with pytest.raises(ValueError, match=r"is not a model card: .") as refused:
        ModelCard.read(tmp_path)
    assert str(tmp_path / CARD_FILE) in str(refused.value)


def test_a_card_with_a_field_too_many_is_refused(folder: Path):
    card = (folder / CARD_FILE).read_text()
    (folder / CARD_FILE).write_text(card.replace("{", '{"shoe_size": 43,', 1))
    with pytest.raises(ValueError, match="is not a model card: shoe_size: Extra inputs are not permitted"):
        ModelCard.read(folder)


GONE = object()


def rewrite(folder: Path, **fields: object) -> None:
    """Write `fields` into the card in `folder`, and take out those that are GONE."""
    card = json.loads((folder / CARD_FILE).read_text()) | fields
    (folder / CARD_FILE).write_text(json.dumps({name: value for name, value in card.items() if value is not GONE}))


@pytest.mark.parametrize(("published", "fields"), [(SCHEMA_1, (None, None)), (SCHEMA_2, (2, ["evidence"]))], ids=["1", "2"])
def test_a_card_of_an_older_schema_is_read_as_one_of_the_present_schema_and_fits_its_files(
    published: Path, fields: tuple[object, object]
):
    written = json.loads((published / CARD_FILE).read_text())
    assert (written.get("schema_version"), written.get("capabilities")) == fields
    card = ModelCard.read(published)
    card.check_files(published)
    assert (card.schema_version, card.capabilities, card.version) == (SCHEMA_VERSION, ("linear_evidence",), published.name)
    assert json.loads(card.model_dump_json()).items() >= {name: written[name] for name in ("recipe", "test", "sha256")}.items()


@pytest.mark.parametrize("published", [SCHEMA_1, SCHEMA_2], ids=["1", "2"])
def test_a_card_of_an_older_schema_knows_nothing_of_confidence_and_novelty(published: Path):
    card = ModelCard.read(published)
    assert (card.architecture, card.parity_tolerance) == ("softmax", PARITY_TOLERANCE)
    assert (card.calibration, card.novelty, card.thresholds, card.acceptance) == (None, None, None, None)
    assert (card.coverage, card.behaviour) == ((), {})


@pytest.mark.parametrize("published", [SCHEMA_1, SCHEMA_2], ids=["1", "2"])
def test_a_card_of_an_older_schema_reads_back_as_it_was_upgraded(tmp_path: Path, published: Path):
    card = ModelCard.read(published)
    (tmp_path / CARD_FILE).write_text(card.model_dump_json())
    assert ModelCard.read(tmp_path) == card


def test_a_card_of_a_newer_schema_is_refused_with_what_can_be_read_and_what_to_do(folder: Path):
    rewrite(folder, schema_version=4, thresholds={"confidence": 0.5})
    with pytest.raises(ValueError, match="schema version 4") as refused:
        ModelCard.read(folder)
    assert str(refused.value) == (
        f"{folder / CARD_FILE} has schema version 4; this program reads 1 to {SCHEMA_VERSION}. "
        "Update the program, or roll back to a version that it can read."
    )


@pytest.mark.parametrize("schema", [0, -1, "2", "3", 2.5, [], True, 1, 2])
def test_a_schema_version_that_never_was_is_not_a_model_card(folder: Path, schema: object):
    rewrite(folder, schema_version=schema)
    with pytest.raises(ValueError, match=r"is not a model card: schema_version: Input should be 3"):
        ModelCard.read(folder)


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"schema_version": GONE}, "schema_version: Field required"),
        ({"schema_version": 1}, "schema_version: Input should be 3"),
        ({"schema_version": GONE, "capabilities": GONE, "shoe_size": 43}, "shoe_size: Extra inputs are not permitted"),
        ({"capabilities": GONE}, "capabilities: Field required"),
        ({"novelty": {"knots": []}}, r"novelty\.knots: Tuple should have at least 1 item"),
        ({"novelty": {"knots": [[2, 0], [1, 1]]}}, r"novelty\.knots: Value error, scores and shares must ascend"),
        ({"capabilities": ["linear_evidence", "flight"]}, r"capabilities\.1: Input should be 'linear_evidence'"),
    ],
    ids=lambda it: "-".join(it) if isinstance(it, dict) else "",
)
def test_a_card_with_fields_of_another_schema_than_its_own_is_refused_by_field(
    folder: Path, fields: dict[str, object], mistake: str
):
    rewrite(folder, **fields)
    with pytest.raises(ValueError, match=f"is not a model card: {mistake}"):
        ModelCard.read(folder)


def test_every_file_is_hashed_but_the_card_and_bentomls_own(folder: Path):
    (folder / "model.yaml").write_text("BentoML's")
    (folder / "inner" / CARD_FILE).write_bytes(b"not the card")
    assert sha256_of_files(folder) == {
        "inner/card.json": hashlib.sha256(b"not the card").hexdigest(),
        "inner/weights.bin": hashlib.sha256(b"weights").hexdigest(),
        "model.tflite": hashlib.sha256(b"graph").hexdigest(),
    }


def test_files_as_they_were_published_pass(folder: Path):
    ModelCard.read(folder).check_files(folder)


def test_a_changed_file_is_named(folder: Path):
    (folder / "inner" / "weights.bin").write_bytes(b"Weights")
    with pytest.raises(ValueError, match=r"inner/weights\.bin differs from what it was when it was published"):
        ModelCard.read(folder).check_files(folder)


def test_a_missing_file_is_named(folder: Path):
    (folder / "model.tflite").unlink()
    with pytest.raises(ValueError, match=r"model\.tflite is missing, but is in the card of digit-classifier:abc"):
        ModelCard.read(folder).check_files(folder)


def test_an_added_file_is_named(folder: Path):
    (folder / "inner" / "extra.py").write_text("")
    with pytest.raises(ValueError, match=r"inner/extra\.py is not in the card of digit-classifier:abc"):
        ModelCard.read(folder).check_files(folder)
