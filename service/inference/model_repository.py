"""Which version is served: found in the store, proved before it answers anyone, and polled for the next one."""

import asyncio
import logging
from dataclasses import replace
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
from service.errors import LoadFailure
from service.inference.explanation import LinearExplainer
from service.inference.loaded_model import LoadedModel, images_within_limits
from service.observability import metrics

logger = logging.getLogger(__name__)

# Evidence is added up in another order than the graph does, and is shown to people.
_EVIDENCE_TOLERANCE = 1e-4


class ModelLoadError(ValueError):
    """The version asked for is not in the store, or cannot be served."""

    def __init__(self, reason: LoadFailure, sentence: str) -> None:
        super().__init__(sentence)
        self.reason: LoadFailure = reason


class ModelRepository:
    """Holds the version that is served, and puts the next one in its place once that is proved."""

    def __init__(self, tag: str, device: Device, min_confidence: float | None = None, max_novelty: float | None = None) -> None:
        self._tag = tag
        self._device: Device = device
        # What the operator says instead of the card.
        thresholds = {"min_confidence": min_confidence, "max_novelty": max_novelty}
        self._overrides = {name: value for name, value in thresholds.items() if value is not None}
        self._served: LoadedModel | None = None
        self._failed: object = None

    def load(self) -> LoadedModel:
        """Load and prove the version asked for, and serve it from now on. Raises as `load_model`."""
        return self._serve(self._loaded(self._tag))

    def _loaded(self, tag: str) -> LoadedModel:
        model = load_model(tag, self._device)
        thresholds = model.card.thresholds
        if not thresholds or not self._overrides:
            return model
        # What other thresholds accept was not measured.
        changed = {"thresholds": thresholds.model_copy(update=self._overrides), "acceptance": None}
        return replace(model, card=model.card.model_copy(update=changed))

    @property
    def served(self) -> LoadedModel:
        assert self._served is not None, "load() comes before the first request"
        return self._served

    def _serve(self, model: LoadedModel) -> LoadedModel:
        engine, before = model.engine, self._served
        self._served = model
        card = model.card
        metrics.MODEL_INFO.tell(card.version, str(card.recipe["name"]), card.architecture, engine.runtime, engine.device)
        metrics.EXPECTED_ACCEPTANCE.set(card.acceptance.validation.coverage if card.acceptance else 0)
        instead = f" instead of {before.tag}" if before else ""
        logger.info("serving %s%s", model.tag, instead, extra={"runtime": engine.runtime, "device": engine.device})
        return model

    async def watch(self, seconds: float) -> None:
        """Poll the store every `seconds`, for ever; return at once if that is 0, or one version was asked for by name."""
        if not seconds or not self._tag.endswith(":latest"):
            return
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.poll()
            except Exception:  # the store is on a disk, and this must outlive whatever happens to it
                logger.exception("the store could not be read; %s stays served", self.served.tag)

    async def poll(self) -> None:
        """Serve what `latest` means by now, if that is another version and proves to be whole.

        A version that does not is not tried again until `latest` or one of its files changes.
        """
        versions = self.served.folder.parent
        version = _latest(versions)
        if version is None or version == self.served.card.version:
            self._failed = None
            return
        found = version, _fingerprint(versions / version)
        if found == self._failed:
            return
        try:
            # In a thread and on an engine of its own, so that requests notice nothing.
            self._serve(await asyncio.to_thread(self._loaded, f"{MODEL_NAME}:{version}"))
            self._failed = None
        except (ModelLoadError, NoGpuError) as error:
            self._failed = found
            metrics.MODEL_LOAD_FAILURES.add(error.reason if isinstance(error, ModelLoadError) else "internal")
            logger.warning("%s stays served: %s", self.served.tag, error)


def _latest(versions: Path) -> str | None:
    """Return the version that `latest` names, or None while it cannot be read: BentoML empties the file before it writes."""
    try:
        version = (versions / "latest").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return version if version.isalnum() else None


def _fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return names, sizes and times of the files in `folder`: they tell a change at a hundredth of the cost of reading."""
    entries = ((path, path.stat()) for path in sorted(folder.rglob("*")))
    return tuple((path.name, entry.st_size, entry.st_mtime_ns) for path, entry in entries)


def find_version(tag: str) -> tuple[Path, ModelCard]:
    """Return the folder and the card of `tag` ("digit-classifier:latest" or a version), found whole in the store.

    Raises:
        ModelLoadError: it is not there, or its files are not those that were published.
    """
    try:
        folder = Path(bentoml.models.get(tag).path)
    except NotFound:
        raise ModelLoadError(
            "missing", f"{tag} is not in the BentoML store; `make train` (python -m training) publishes one."
        ) from None
    except Exception as error:  # of a damaged description, BentoML raises what its parsers do
        raise ModelLoadError("incomplete", f"{tag} cannot be served: {str(error).splitlines()[0]}") from None
    return folder, _whole_card(tag, folder)


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
