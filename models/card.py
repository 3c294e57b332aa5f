"""The model card: what a published model says about itself, and which files belong to it."""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator
from pydantic_core import from_json

KERAS_FILE = "model.keras"
LITERT_FILE = "model.tflite"
LITERT_WITH_NOVELTY_FILE = "model_with_novelty.tflite"
SAVED_MODEL_FOLDER = "saved_model"
GOLDEN_FILE = "golden.npz"
WEIGHTS_FILE = "weights.npz"
DESKEW_FILE = "deskew.tflite"
PICTURES_FOLDER = "pictures"
CARD_FILE = "card.json"
BENTOML_FILE = "model.yaml"

SCHEMA_VERSION = 3

Architecture = Literal["softmax", "deskew", "conv"]

Capability = Literal["linear_evidence", "deskewed_evidence", "novelty"]
"""What a model can do beyond probabilities.

`linear_evidence`: its logits are scaled pixels · weights + biases, both in `weights.npz`, so that the share of each pixel
in a logit is exact. `deskewed_evidence`: the same of the pixels that `deskew.tflite` makes of those received. `novelty`:
its graphs score how unlike the training digits an image is.
"""

# How far a probability may be from what Keras computes for the same pixels, unless the card has a bound of its own.
PARITY_TOLERANCE = 3e-6
# The same for a novelty score, as a share of it.
NOVELTY_TOLERANCE = 1e-5


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Evaluation(_Frozen):
    """How a model did on one split.

    `accuracy_interval` is the 95 % Wilson score interval, `loss` the mean cross-entropy in nats, `calibration_error`
    the expected calibration error over the bins of `reliability`, `brier_score` the mean squared distance from the
    one-hot label (0 to 2), `confusion[label][digit]` a count of images.
    """

    images: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    loss: float
    calibration_error: float
    brier_score: float
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple["ReliabilityBin", ...]


class ReliabilityBin(_Frozen):
    """The images whose confidence fell into one bin; both means are 0 where there are none."""

    images: int
    mean_confidence: float
    accuracy: float


class Uncalibrated(_Frozen):
    """How a model did on one split before its logits were divided by a temperature; its `Evaluation` is of afterwards."""

    loss: float
    calibration_error: float


class Calibration(_Frozen):
    """The temperature, fitted on validation, that is part of the weights (Guo et al. 2017), and what was before it."""

    temperature: float
    validation_before: Uncalibrated
    test_before: Uncalibrated


class Novelty(_Frozen):
    """What turns a novelty score into a share: at most 64 pairs (score, share of validation digits below), ascending."""

    knots: Annotated[tuple[tuple[FiniteFloat, FiniteFloat], ...], Field(min_length=1, max_length=64)]

    @field_validator("knots")
    @classmethod
    def _ascend(cls, knots: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if any(list(column) != sorted(column) for column in zip(*knots, strict=True)):
            raise ValueError("scores and shares must ascend")
        return knots


class Thresholds(_Frozen):
    """An answer is accepted from `min_confidence` on, and up to a novelty (a share) of `max_novelty`."""

    min_confidence: float
    max_novelty: float


class Accepted(_Frozen):
    """Of one split: the share that is accepted, how much of that is right, and the 95 % Wilson interval of the latter."""

    coverage: float
    accuracy: float
    accuracy_interval: tuple[float, float]


class Acceptance(_Frozen):
    """What the thresholds accept."""

    validation: Accepted
    test: Accepted


class CoverageRow(_Frozen):
    """Of the test digits with a confidence of at least `min_confidence`: their share, and how many of them are right."""

    coverage: float
    accuracy: float
    min_confidence: float


def coverage_at(accuracy: float, rows: tuple[CoverageRow, ...]) -> float:
    """Return the most that `rows` cover with `accuracy`, as a share; 0 where they reach it nowhere."""
    return max((row.coverage for row in rows if row.accuracy >= accuracy), default=0.0)


class ModelCard(_Frozen):
    """What is known of one published version. `sha256` names every file beside the card, by its path.

    From `calibration` to `behaviour`, a version that was published with an older schema has nothing.
    """

    schema_version: Literal[3]
    architecture: Architecture
    capabilities: tuple[Capability, ...]
    name: str
    version: str
    created: AwareDatetime
    recipe: dict[str, str | int | float]
    num_parameters: int
    fit_seconds: float
    validation: Evaluation
    test: Evaluation
    calibration: Calibration | None
    novelty: Novelty | None
    thresholds: Thresholds | None
    acceptance: Acceptance | None
    coverage: tuple[CoverageRow, ...]
    behaviour: dict[str, float]
    data_sha256: dict[str, str]
    bundled_data: bool
    git_commit: str | None
    libraries: dict[str, str]
    parity_tolerance: float
    parity: dict[str, float]
    forced: str | None
    sha256: dict[str, str]

    @property
    def tag(self) -> str:
        return f"{self.name}:{self.version}"

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the card of the version in `folder`. A card of an older schema is returned as one of the present schema.

        Raises:
            ValueError: there is none, it is not a card, or its schema is newer than this code.
        """
        path = folder / CARD_FILE
        try:
            return cls.model_validate(_content_of(path))
        except ValidationError as error:
            first = error.errors()[0]
            mistake = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
            raise ValueError(f"{path} is not a model card: {mistake}.") from None

    def check_files(self, folder: Path) -> None:
        """Compare the files in `folder` with `sha256`.

        Raises:
            ValueError: a file is missing, differs, or should not be there; the message names it.
        """
        found = sha256_of_files(folder)
        for path in sorted(found.keys() | self.sha256.keys()):
            if found.get(path) != self.sha256.get(path):
                raise ValueError(f"{folder / path} {_difference(path in found, path in self.sha256)} the card of {self.tag}.")


def _content_of(path: Path) -> Any:
    """Return the content of the card at `path`, of whatever known schema, in the fields of the present one."""
    try:
        card = from_json(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path.parent} has no {CARD_FILE}: it was not published whole.") from None
    except ValueError as error:
        raise ValueError(f"{path} is not a model card: {error}.") from None
    schema = card.get("schema_version", 1) if isinstance(card, dict) else None
    if isinstance(schema, int) and schema > SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema version {schema}; this program reads 1 to {SCHEMA_VERSION}. "
            "Update the program, or roll back to a version that it can read."
        )
    return _upgraded(card, _ADDED_SINCE[schema]) if isinstance(schema, int) and schema in _ADDED_SINCE else card


_NOTHING_KNOWN = dict.fromkeys(("calibration", "novelty", "thresholds", "acceptance")) | {"coverage": (), "behaviour": {}}
# What cards of an older schema lack, and is true of their models; the first field is one that each newer card has.
_ADDED_SINCE_2 = {"architecture": "softmax", "parity_tolerance": PARITY_TOLERANCE} | _NOTHING_KNOWN
_ADDED_SINCE = {1: {"capabilities": ["evidence"]} | _ADDED_SINCE_2, 2: _ADDED_SINCE_2}


def _upgraded(card: dict[str, Any], added: dict[str, Any]) -> dict[str, Any]:
    """Return `card`, of an older schema, as one of the present schema, unless that of its fields is another."""
    if next(iter(added)) in card:
        return card
    upgraded = added | card | {"schema_version": SCHEMA_VERSION}
    if upgraded.get("capabilities") == ["evidence"]:
        upgraded["capabilities"] = ["linear_evidence"]
    return upgraded


def _difference(found: bool, expected: bool) -> str:
    if not found:
        return "is missing, but is in"
    return "differs from what it was when it was published, by" if expected else "is not in"


def sha256_of_files(folder: Path) -> dict[str, str]:
    """Hash every file below `folder` but the card itself and BentoML's own description; keys are relative paths."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = ((path, path.relative_to(folder).as_posix()) for path in paths)
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for path, name in names if name not in (CARD_FILE, BENTOML_FILE)
    }
