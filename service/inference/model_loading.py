"""One version from the store, loaded and proved: it is whole, and answers its golden digits as it was published."""

from pathlib import Path
from typing import Any

import bentoml
import numpy as np
from bentoml.exceptions import NotFound
from numpy.typing import NDArray

from models.card import GOLDEN_FILE, NOVELTY_TOLERANCE, WEIGHTS_FILE, ModelCard
from models.digits import MODEL_NAME, NUM_CLASSES, NUM_PIXELS, check_images
from models.engine import Device, Engine, NoGpuError, load_engine
from models.exported import load_deskew
from models.novelty import knots_of
from models.pointer import LATEST, named_by_latest, versions_folder
from service.errors import LoadFailure
from service.inference.explanation import LinearExplainer
from service.inference.loaded_model import LoadedModel, images_within_limits

# Evidence is added up in another order than the graph does, and is shown to people.
_EVIDENCE_TOLERANCE = 1e-4


class ModelLoadError(ValueError):
    """The version asked for is not in the store, or cannot be served."""

    def __init__(self, reason: LoadFailure, sentence: str) -> None:
        super().__init__(sentence)
        self.reason: LoadFailure = reason


def find_version(tag: str) -> tuple[Path, ModelCard]:
    """Return the folder and the card of `tag` ("digit-classifier:latest" or a version), found whole in the store.

    Raises:
        ModelLoadError: it is not there, or its files are not those that were published.
    """
    tag = _with_version(tag)
    try:
        folder = Path(bentoml.models.get(tag).path)
    except NotFound:
        raise _not_in_the_store(tag) from None
    except Exception as error:  # of a damaged description, BentoML raises what its parsers do
        raise ModelLoadError("incomplete", f"{tag} cannot be served: {str(error).splitlines()[0]}") from None
    return folder, _whole_card(tag, folder)


def _with_version(tag: str) -> str:
    """Return `tag` with the version that `latest` names. Where that is not there, BentoML would write another into the file."""
    if tag != LATEST:
        return tag
    versions = versions_folder()
    version = named_by_latest(versions)
    if version and (versions / version).is_dir():  # else BentoML would take one whose name begins so
        return f"{MODEL_NAME}:{version}"
    if version or not any(versions.glob("*/")):
        raise _not_in_the_store(f"{MODEL_NAME}:{version}" if version else tag)
    sentence = f"{LATEST} names no version; `python -m training rollback VERSION` lets it name one of those in the store."
    raise ModelLoadError("missing", sentence)


def _not_in_the_store(tag: str) -> ModelLoadError:
    return ModelLoadError("missing", f"{tag} is not in the BentoML store; `make train` (python -m training) publishes one.")


def _whole_card(tag: str, folder: Path) -> ModelCard:
    reason: LoadFailure = "incomplete"
    try:
        card = ModelCard.read(folder)
        if card.version != folder.name:
            raise ValueError(f"the card in {folder} is that of {card.tag}.")
        reason = "changed"
        card.check_files(folder)
    except (OSError, ValueError) as error:
        raise ModelLoadError(reason, f"{tag} cannot be served: {error}") from None
    return card


def load_model(tag: str, device: Device) -> LoadedModel:
    """Load `tag` from the store and prove that it is whole and answers its golden digits as published.

    Raises:
        ModelLoadError: it is not there, not whole, or answers something else.
        NoGpuError: `device` is "gpu", and there is none.
    """
    folder, card = find_version(tag)
    try:
        linear, engine = _linear_explainer(folder, card), load_engine(folder, device)
    except (NoGpuError, ModelLoadError):
        raise
    except Exception as error:  # of whatever kind the runtime has
        raise ModelLoadError("internal", f"{tag} cannot be served: its graph cannot be loaded: {error}") from None
    images = _proved_golden_images(folder, card, engine, linear)
    knots = knots_of(card.novelty) if card.novelty else None
    return LoadedModel(folder, card, engine, linear, images[:1], *images_within_limits(engine, images), knots)


def _linear_explainer(folder: Path, card: ModelCard) -> LinearExplainer | None:
    if not {"linear_evidence", "deskewed_evidence"} & set(card.capabilities):
        return None
    weights, biases = _read_arrays(folder / WEIGHTS_FILE, weights=(NUM_PIXELS, NUM_CLASSES), biases=(NUM_CLASSES,))
    prepare = load_deskew(folder) if "deskewed_evidence" in card.capabilities else None
    return LinearExplainer(weights, biases, prepare)


def _read_arrays(path: Path, **shapes: tuple[int, ...]) -> tuple[NDArray[Any], ...]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = tuple(file[name] for name in shapes)
    except Exception as error:  # NumPy's, zipfile's and zlib's
        raise ModelLoadError("shape", f"{path} does not hold {' and '.join(shapes)}: {error}") from None
    for (name, shape), array in zip(shapes.items(), arrays, strict=True):
        if array.shape[array.ndim - len(shape) :] != shape or array.dtype.kind not in "fu":
            raise ModelLoadError("shape", f"{path} has {name} of shape {array.shape} and type {array.dtype}, not {shape}.")
    return arrays


def _proved_golden_images(folder: Path, card: ModelCard, engine: Engine, linear: LinearExplainer | None) -> NDArray[np.float32]:
    """Return the golden digits (N, 784), which `engine` answers as published, with and without novelty, and `linear` too."""
    names = {"images": (NUM_PIXELS,), "probabilities": (NUM_CLASSES,)}
    has_novelty = "novelty" in card.capabilities
    images, expected, *scores = _read_arrays(folder / GOLDEN_FILE, **names, **({"novelty": ()} if has_novelty else {}))
    try:
        images = check_images(images)
        answered, with_novelty = engine.run(images, False), engine.run(images, has_novelty)
        explained = linear.probabilities(images) if linear else None
    except Exception as error:  # of whatever kind the runtime has
        raise ModelLoadError("shape", f"{card.tag} does not answer images of {NUM_PIXELS} pixels: {error}") from None
    for outputs in (answered, with_novelty):
        _check_golden(card, "probabilities", outputs.probabilities, expected, card.parity_tolerance)
    if linear:
        _check_golden(card, "probabilities from its weights", explained, expected, _EVIDENCE_TOLERANCE)
    for published in scores:
        _check_golden(card, "novelty scores", with_novelty.novelty, published, NOVELTY_TOLERANCE * published)
    return images


def _check_golden(
    card: ModelCard, what: str, answered: NDArray[Any] | None, expected: NDArray[Any], allowed: float | NDArray[Any]
) -> None:
    shape = None if answered is None else answered.shape
    if answered is None or shape != expected.shape:
        sentence = f"{card.tag} answers its golden digits with {what} of shape {shape}, not {expected.shape}."
        raise ModelLoadError("shape", sentence)
    difference = np.abs(answered - expected)
    if not np.all(difference <= allowed):  # so written, NaN is refused too
        raise ModelLoadError(
            "golden",
            f"{card.tag} answers its golden digits with {what} up to {difference.max():.1e} away from what was published; "
            f"at most {np.min(allowed):.0e} is allowed.",
        )
