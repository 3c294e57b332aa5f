"""Which models are published, and what a published version holds."""

import contextlib
import errno
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path

import bentoml
import tensorflow as tf
from bentoml._internal.models import ModelStore  # the public API names no other store

from models import card
from models.digits import MODEL_NAME
from training import store
from training.assessment import Candidate
from training.behaviour import below_floor
from training.export import ParityError, expected_of, export, proved_parity
from training.pictures import draw_pictures
from training.store_writing import writing_to

MINIMUM_VALIDATION_ACCURACY = 0.90
# How much worse than the served version, as a share of the validation split: 0.5 points.
MAXIMUM_LOSS_OF_ACCURACY = 0.005

_CAPABILITIES: dict[card.Architecture, tuple[card.Capability, ...]] = {
    "softmax": ("linear_evidence", "novelty"),
    "deskew": ("deskewed_evidence", "novelty"),
    "conv": ("novelty",),
}
_LIBRARIES = ("ai-edge-litert", "bentoml", "keras", "numpy", "tensorflow")


class NotPublished(Exception):
    """Why a model was not published.

    `is_failure` says whether that makes the run a failure, `can_be_forced` whether `force` would have published it.
    """

    def __init__(self, sentence: str, *, is_failure: bool = True, can_be_forced: bool = True) -> None:
        super().__init__(sentence)
        self.is_failure = is_failure
        self.can_be_forced = can_be_forced


def objection_to(candidate: Candidate) -> NotPublished | None:
    """Return why `candidate` should not be published (its recipe, data, accuracy or behaviour), or None."""
    recipe, accuracy = candidate.recipe, candidate.validation.accuracy
    if recipe.batches == "first":
        return NotPublished(f"{recipe.name} learns from {recipe.batch_size} images alone, to show how", is_failure=False)
    if not candidate.data.is_bundled:
        return NotPublished("the data is not the bundled MNIST", is_failure=False)
    sentence = f"validation accuracy is {accuracy:.2%}"
    if accuracy < MINIMUM_VALIDATION_ACCURACY:
        return NotPublished(f"{sentence}; at least {MINIMUM_VALIDATION_ACCURACY:.2%} is required")
    if misbehaviour := below_floor(recipe.name, candidate.behaviour):
        return NotPublished(misbehaviour)
    to_beat, which = _version_to_beat(candidate)
    # Rounded, since 0.944 - 0.939 is a little more than 0.005 in floating point.
    if to_beat is None or round(to_beat.validation.accuracy - accuracy, 9) <= MAXIMUM_LOSS_OF_ACCURACY:
        return None
    allowed = f"at most {100 * MAXIMUM_LOSS_OF_ACCURACY:.1f} points less is allowed"
    return NotPublished(f"{sentence}, and {to_beat.tag}, {which}, has {to_beat.validation.accuracy:.2%}; {allowed}")


def _version_to_beat(candidate: Candidate) -> tuple[card.ModelCard | None, str]:
    """Return the version that `candidate` is compared with, if any, and which one that is, in words.

    Another recipe may be less accurate on purpose, and accuracies on other images cannot be compared.
    """

    def is_comparable(other: card.ModelCard) -> bool:
        return other.recipe["name"] == candidate.recipe.name and other.data_sha256 == candidate.data.sha256

    cards = [entry.card for entry in store.published_versions() if entry.card and is_comparable(entry.card)]
    if served := store.served_card():
        if is_comparable(served) or served.data_sha256 != candidate.data.sha256:
            return (served if is_comparable(served) else None), "which is served now"
        return (cards[-1] if cards else None), "the newest of its recipe"
    # The others still show what accuracy is possible.
    which = "the best of those that can be read, since the served one cannot be"
    return max(cards, key=lambda each: each.validation.accuracy, default=None), which


def publish(candidate: Candidate, force: bool = False) -> str:
    """Write `candidate` into the store as a new version, which becomes the served one, and return its tag.

    The files are made and proved outside the store. Whatever fails or interrupts, what is served is unchanged.

    Raises:
        NotPublished: there is an objection and no `force`, or an exported graph does not compute what Keras computes.
        StoreError: the store, or the folder for temporary files, cannot be written to.
    """
    objection = objection_to(candidate)
    if objection and not force:
        raise objection
    tag = bentoml.Tag(MODEL_NAME).make_new_version()
    with _temporary_folder() as throw_away:
        # BentoML writes its description into a store of its own: in ours it would empty `latest` for a moment.
        with bentoml.models.create(tag, labels={"recipe": candidate.recipe.name}, _model_store=ModelStore(throw_away)):
            pass
        made = throw_away / tag.path()
        made.chmod(0o755)  # BentoML makes it for its owner alone; a service often runs as another user
        _make(candidate, made, str(objection) if objection else None)
        store.add(made)
    return str(tag)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    options = {"prefix": f"{MODEL_NAME}-", "ignore_cleanup_errors": True}  # else what is published may be called a failure
    with writing_to(f"temporary files in {tempfile.gettempdir()}"), tempfile.TemporaryDirectory(**options) as folder:
        tempfile.tempdir = folder  # also for what Keras and TensorFlow leave there when they are interrupted
        try:
            yield Path(folder)
        except tf.errors.ResourceExhaustedError as error:  # TensorFlow's error for a full disk
            raise OSError(errno.ENOSPC, error.message) from None
        finally:
            tempfile.tempdir = None  # the default


def _make(candidate: Candidate, folder: Path, forced: str | None) -> None:
    """Write all files of the version that `folder` is named after into it, and prove them."""
    expected = expected_of(candidate)
    export(candidate, expected, folder)
    draw_pictures(folder / card.PICTURES_FOLDER, candidate)
    try:
        parity = proved_parity(expected, candidate.data.test.images, folder)
    except ParityError as error:
        raise NotPublished(str(error), can_be_forced=False) from None
    (folder / card.CARD_FILE).write_text(_card(candidate, folder, parity, forced).model_dump_json(indent=2))


def _card(candidate: Candidate, folder: Path, parity: dict[str, float], forced: str | None) -> card.ModelCard:
    return card.ModelCard(
        schema_version=card.SCHEMA_VERSION,
        architecture=candidate.recipe.architecture,
        capabilities=_CAPABILITIES[candidate.recipe.architecture],
        name=MODEL_NAME,
        version=folder.name,
        created=datetime.now(UTC),
        recipe=asdict(candidate.recipe),
        num_parameters=candidate.fit.classifier.count_params(),
        fit_seconds=candidate.fit.seconds,
        validation=candidate.validation,
        test=candidate.test,
        calibration=candidate.calibration,
        novelty=candidate.novelty,
        thresholds=candidate.thresholds,
        acceptance=candidate.acceptance,
        coverage=candidate.coverage,
        behaviour=candidate.behaviour,
        data_sha256=candidate.data.sha256,
        bundled_data=candidate.data.is_bundled,
        git_commit=_git_commit(),
        libraries={name: version_of(name) for name in _LIBRARIES},
        parity_tolerance=card.PARITY_TOLERANCE,
        parity=parity,
        forced=forced,
        sha256=card.sha256_of_files(folder),
    )


def _git_commit() -> str | None:
    """Return the commit of this code, with "-dirty" where it was changed since, or None outside a checkout."""
    command = ("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
