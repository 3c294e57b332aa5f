import errno
import json
import re
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bentoml
import keras
import numpy as np
import pytest

from models.card import CARD_FILE, GOLDEN_FILE, KERAS_FILE, LITERT_FILE, PARITY_TOLERANCE, ModelCard
from models.exported import Graph, load_litert
from tests.support.project import ROOT
from tests.support.store import AddVersion
from training import publish as publishing
from training.data import Mnist, read_mnist
from training.evaluate import evaluate
from training.fit import fit
from training.publish import Candidate, NotPublished, objection_to, publish
from training.recipes import RECIPES
from training.store import StoreError, served_version

PARTS = {"weights.npz", "model.keras", "model.tflite", "saved_model", "card.json", "golden.npz", "pictures", "model.yaml"}


@pytest.fixture(scope="module")
def candidate(mnist: Mnist) -> Candidate:
    """Return what two epochs on MNIST make: 92.7 % on validation."""
    recipe = replace(RECIPES["baseline"], epochs=2)
    fitted = fit(recipe, mnist.train, mnist.validation)
    return Candidate(recipe, fitted, mnist, *(evaluate(fitted.classifier, split) for split in (mnist.validation, mnist.test)))


@pytest.fixture(scope="module")
def other(candidate: Candidate, tiny_data: Path) -> Candidate:
    """Return the same model as if it had been fitted to data that is not the bundled MNIST."""
    return replace(candidate, data=read_mnist(tiny_data))


@pytest.fixture(scope="module")
def version(published_home: Path) -> Path:
    """Return the folder of the version that the command line has published."""
    versions = published_home / "models" / "digit-classifier"
    return versions / (versions / "latest").read_text()


def right_on(candidate: Candidate, correct: int) -> Candidate:
    """Return `candidate` as if it had read `correct` of the 5,000 validation digits."""
    return replace(candidate, validation=candidate.validation.model_copy(update={"accuracy": correct / 5000}))


def refusal_of(candidate: Candidate, force: bool = False) -> NotPublished:
    with pytest.raises(NotPublished) as refused:
        publish(candidate, force)
    return refused.value


def content_of(versions_folder: Path) -> dict[str, bytes]:
    files = (path for path in versions_folder.rglob("*") if path.is_file())
    return {path.relative_to(versions_folder).as_posix(): path.read_bytes() for path in files}


# What is in the store


def test_a_published_version_has_every_file_and_the_card_knows_them(version: Path):
    assert {path.name for path in version.iterdir()} == PARTS
    assert len(list((version / "pictures").iterdir())) == 4
    card = ModelCard.read(version)
    card.check_files(version)
    assert {KERAS_FILE, LITERT_FILE, GOLDEN_FILE, "saved_model/saved_model.pb", "pictures/weights.png"} <= card.sha256.keys()


def test_the_card_says_where_the_model_comes_from(version: Path, mnist: Mnist):
    card = ModelCard.read(version)
    assert card.tag == f"digit-classifier:{version.name}"
    assert card.recipe | {"name": "baseline", "seed": 0, "epochs": 20} == card.recipe
    assert (card.num_parameters, card.bundled_data, card.forced) == (7850, True, None)
    assert (card.validation.images, card.test.images) == (5000, 10_000)
    assert card.data_sha256 == mnist.sha256
    assert card.libraries["keras"] == keras.__version__
    assert card.parity.keys() == {"litert", "saved_model"}
    assert max(card.parity.values()) <= PARITY_TOLERANCE / 2  # of one seed; others come up to 1.4e-6
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


def test_what_was_published_is_the_latest(candidate: Candidate, add_version: AddVersion, versions_folder: Path):
    add_version("before", validation=candidate.validation)
    tag = publish(candidate)
    assert str(bentoml.models.get("digit-classifier:latest").tag) == tag
    assert ModelCard.read(versions_folder / str(served_version())).tag == tag
    assert (versions_folder / "before").is_dir()


# What gets into it


@pytest.mark.usefixtures("versions_folder")
def test_the_first_good_model_has_nothing_against_it(candidate: Candidate):
    assert objection_to(candidate) is None


@pytest.mark.usefixtures("versions_folder")
def test_below_90_percent_on_validation_is_refused_with_both_numbers(candidate: Candidate):
    refusal = refusal_of(right_on(candidate, 4499))
    assert str(refusal) == "validation accuracy is 89.98%; at least 90.00% is asked for"
    assert (refusal.is_failure, refusal.can_be_forced) == (True, True)
    assert objection_to(right_on(candidate, 4500)) is None


def test_what_is_more_than_half_a_point_worse_than_the_served_one_is_refused_with_both_numbers(
    candidate: Candidate, add_version: AddVersion
):
    add_version("before", validation=right_on(candidate, 4720).validation)
    sentence = str(refusal_of(right_on(candidate, 4694)))
    assert "is 93.88%, and digit-classifier:before, which is served now, has 94.40%; at most 0.5 points less" in sentence


@pytest.mark.parametrize("served", [4525, 4719, 4720, 4999, 5000])
def test_exactly_half_a_point_worse_than_the_served_one_is_not_refused(
    candidate: Candidate, add_version: AddVersion, served: int
):
    add_version("before", validation=right_on(candidate, served).validation)
    assert objection_to(right_on(candidate, served - 25)) is None


def test_a_version_that_was_served_before_is_not_compared(candidate: Candidate, add_version: AddVersion):
    add_version("before", validation=right_on(candidate, 5000).validation)
    add_version("now", validation=right_on(candidate, 4600).validation)
    assert objection_to(right_on(candidate, 4600)) is None


def test_a_served_version_of_other_data_is_not_compared(candidate: Candidate, add_version: AddVersion):
    validation = right_on(candidate, 5000).validation
    add_version("before", validation=validation)
    assert objection_to(right_on(candidate, 4600)) is not None
    add_version("other", validation=validation, data_sha256={"train-images-idx3-ubyte": "0" * 64})
    assert objection_to(right_on(candidate, 4600)) is None


@pytest.mark.parametrize("how", ["no card", "no latest", "latest names nothing"])
def test_where_the_served_version_cannot_be_read_the_best_that_can_is_the_measure(
    candidate: Candidate, add_version: AddVersion, versions_folder: Path, how: str
):
    add_version("best", validation=right_on(candidate, 4720).validation)
    add_version("worse", validation=right_on(candidate, 4600).validation)
    add_version("other", validation=right_on(candidate, 5000).validation, data_sha256={"train-images-idx3-ubyte": "0" * 64})
    add_version("served", validation=right_on(candidate, 5000).validation)
    (versions_folder / "served" / CARD_FILE).unlink()
    if how != "no card":
        (versions_folder / "latest").unlink()
    if how == "latest names nothing":
        (versions_folder / "latest").write_text("gone")
    sentence = str(refusal_of(right_on(candidate, 4570)))
    assert "is 91.40%, and digit-classifier:best, the best of those that can be read, since the served one cannot" in sentence
    assert objection_to(right_on(candidate, 4695)) is None


def test_where_no_version_can_be_read_there_is_nothing_to_compare_with(
    candidate: Candidate, add_version: AddVersion, versions_folder: Path
):
    add_version("served", validation=right_on(candidate, 5000).validation)
    (versions_folder / "served" / CARD_FILE).unlink()
    assert objection_to(right_on(candidate, 4500)) is None


def test_force_publishes_and_the_card_says_what_was_against_it(
    candidate: Candidate, add_version: AddVersion, versions_folder: Path
):
    add_version("before", validation=right_on(candidate, 4720).validation)
    publish(right_on(candidate, 4600), force=True)
    forced = ModelCard.read(versions_folder / str(served_version())).forced
    assert forced is not None
    assert "92.00%" in forced
    assert "94.40%" in forced


def test_force_where_nothing_is_against_it_is_not_mentioned_in_the_card(candidate: Candidate, versions_folder: Path):
    publish(candidate, force=True)
    assert ModelCard.read(versions_folder / str(served_version())).forced is None


@pytest.mark.usefixtures("versions_folder")
def test_other_data_is_refused_but_is_no_failure(other: Candidate):
    refusal = refusal_of(other)
    assert str(refusal) == "the data is not the bundled MNIST"
    assert (refusal.is_failure, refusal.can_be_forced) == (False, True)


@pytest.mark.parametrize(("error", "force"), [(2 * PARITY_TOLERANCE, True), (np.nan, False)])
def test_an_export_that_does_not_compute_what_keras_does_is_not_published_even_by_force(
    candidate: Candidate, versions_folder: Path, monkeypatch: pytest.MonkeyPatch, error: float, force: bool
):
    def load_shifted(path: Path) -> Graph:
        run = load_litert(path)
        return lambda images: run(images) + np.float32(error)

    monkeypatch.setattr(publishing, "load_litert", load_shifted)
    refusal = refusal_of(candidate, force)
    assert re.match(r"the litert export differs from Keras by up to (\d\.\de-\d\d|nan) on the test digits; ", str(refusal))
    assert (refusal.is_failure, refusal.can_be_forced) == (True, False)
    assert content_of(versions_folder) == {}
    assert served_version() is None


# What interrupts a publication


def stop_while_drawing(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(*_: object) -> None:
        raise error

    monkeypatch.setattr(publishing, "draw_pictures", draw)


def stop_while_copying_into_the_store(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def copytree(source: Path, target: Path, **_: object) -> None:
        shutil.copy(source / CARD_FILE, target)
        raise error

    monkeypatch.setattr("bentoml._internal.models.model.shutil", SimpleNamespace(copytree=copytree))


def stop_when_latest_is_truncated(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = Path.open

    def open_latest(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        opened = really_open(path, mode, *rest, **options)
        if (path.name, mode) == ("latest", "w"):
            opened.close()
            assert path.read_bytes() == b""
            raise error
        return opened

    monkeypatch.setattr(Path, "open", open_latest)


def stop_when_latest_is_written(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def track(_: object) -> None:
        raise error

    monkeypatch.setattr("bentoml.models.track", track)


CTRL_C, FULL_DISK = KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")
FULL_DISK_IN_COPYTREE = shutil.Error([("from", "to", "[Errno 28] No space left on device: 'to'")])


@pytest.mark.parametrize(
    ("stop", "error"),
    [
        pytest.param(stop_while_drawing, CTRL_C, marks=pytest.mark.slow),
        pytest.param(stop_while_copying_into_the_store, CTRL_C, marks=pytest.mark.slow),
        (stop_while_copying_into_the_store, FULL_DISK_IN_COPYTREE),
        pytest.param(stop_when_latest_is_truncated, CTRL_C, marks=pytest.mark.slow),
        (stop_when_latest_is_truncated, FULL_DISK),
        (stop_when_latest_is_written, CTRL_C),
    ],
    ids=lambda it: getattr(it, "__name__", type(it).__name__),
)
def test_what_interrupts_a_publication_leaves_the_store_as_it_was(
    candidate: Candidate,
    add_version: AddVersion,
    versions_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[BaseException, pytest.MonkeyPatch], None],
    error: BaseException,
):
    add_version("first", validation=candidate.validation)
    add_version("second")
    (versions_folder / "latest").write_text("first")  # rolled back: the served version is not the newest
    before = content_of(versions_folder)
    with monkeypatch.context() as patch:
        stop(error, patch)
        with pytest.raises(KeyboardInterrupt if error is CTRL_C else StoreError):
            publish(candidate)
    assert content_of(versions_folder) == before
    assert {path.name for path in versions_folder.iterdir()} == {"first", "second", "latest"}


def test_what_interrupts_the_first_publication_leaves_no_folder_and_the_next_one_works(
    candidate: Candidate, versions_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        stop_when_latest_is_truncated(CTRL_C, patch)
        with pytest.raises(KeyboardInterrupt):
            publish(candidate)
    assert not versions_folder.exists()
    assert publish(candidate) == f"digit-classifier:{served_version()}"
