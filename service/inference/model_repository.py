"""Which version is served: what `latest` names or, where that is damaged, named before; polled for the next one."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from models.digits import MODEL_NAME
from models.engine import Device, NoGpuError
from models.pointer import LATEST, fallbacks, named_by_latest, versions_folder
from service.inference.loaded_model import LoadedModel
from service.inference.model_loading import ModelLoadError, load_model
from service.observability import metrics

logger = logging.getLogger(__name__)

Servable = TypeVar("Servable")
Found = tuple[str, tuple[tuple[str, int, int], ...]]
"""A version that `latest` names, and what its files are like."""


class ModelRepository:
    """Holds the version that is served, and puts the next one in its place once that is proved."""

    def __init__(self, tag: str, device: Device, min_confidence: float | None = None, max_novelty: float | None = None) -> None:
        self._tag = tag
        self._device: Device = device
        # What the operator says instead of the card.
        thresholds = {"min_confidence": min_confidence, "max_novelty": max_novelty}
        self._overrides = {name: value for name, value in thresholds.items() if value is not None}
        self._served: LoadedModel | None = None
        self._failed: Found | None = None
        self.is_fallback = False

    def load(self) -> LoadedModel:
        """Load and prove the version asked for or, where `latest` is damaged, what that named before, and serve it from now on.

        Raises as `load_model`.
        """
        model, error = first_servable(self._tag, self._loaded)
        if error:
            metrics.MODEL_FALLBACKS.add()
            self._count_failure(error)
            with suppress(OSError):  # of files that cannot be read, which are tried again then
                version = named_by_latest(model.folder.parent)
                self._note_failed((version, _fingerprint(model.folder.with_name(version))) if version else None)
        return self._serve(model, error)

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

    def _serve(self, model: LoadedModel, error: ModelLoadError | None = None) -> LoadedModel:
        """Serve `model` from now on; as a fallback, if that is because of an `error` of what `latest` names."""
        engine, before = model.engine, self._served
        self._served = model
        self._note_fallback(error is not None)
        card = model.card
        metrics.MODEL_INFO.tell(card.version, str(card.recipe["name"]), card.architecture, engine.runtime, engine.device)
        metrics.EXPECTED_ACCEPTANCE.set(card.acceptance.validation.coverage if card.acceptance else 0)
        instead = f" instead of {before.tag}" if before else f", which is a fallback: {error}" if error else ""
        level = logging.WARNING if error else logging.INFO
        logger.log(level, "serving %s%s", model.tag, instead, extra={"runtime": engine.runtime, "device": engine.device})
        return model

    def _note_fallback(self, is_fallback: bool) -> None:
        self.is_fallback = is_fallback
        metrics.MODEL_FALLBACK.set(is_fallback)

    def _note_failed(self, failed: Found | None) -> None:
        self._failed = failed
        metrics.MODEL_REFUSED.set(failed is not None)

    def _count_failure(self, error: ModelLoadError | NoGpuError) -> None:
        metrics.MODEL_LOAD_FAILURES.add(error.reason if isinstance(error, ModelLoadError) else "internal")

    async def watch(self, seconds: float) -> None:
        """Poll the store every `seconds`, for ever; return at once if that is 0, or one version was asked for by name."""
        if not seconds or self._tag != LATEST:
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
        version = named_by_latest(versions)
        if version is None or version == self.served.card.version:
            self._note_failed(None)
            self._note_fallback(self.is_fallback and version is None)
            return
        found = version, _fingerprint(versions / version)
        if found == self._failed:
            return
        try:
            # In a thread and on an engine of its own, so that requests notice nothing.
            self._serve(await asyncio.to_thread(self._loaded, f"{MODEL_NAME}:{version}"))
            self._note_failed(None)
        except (ModelLoadError, NoGpuError) as error:
            self._note_failed(found)
            self._count_failure(error)
            logger.warning("%s stays served: %s", self.served.tag, error)


def first_servable(tag: str, load: Callable[[str], Servable]) -> tuple[Servable, ModelLoadError | None]:
    """Return what `load` makes of `tag`, or else of the first version that may be served instead, and why `tag` is not.

    Only what `latest` names is ever replaced. Raises what `load` raises for `tag` where nothing can be served instead.
    """
    try:
        return load(tag), None
    except ModelLoadError as error:
        for version in fallbacks(versions_folder()) if tag == LATEST else ():
            with suppress(ModelLoadError):
                return load(f"{MODEL_NAME}:{version}"), error
        raise


def _fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return names, sizes and times of the files in `folder`: they tell a change at a hundredth of the cost of reading."""
    entries = ((path, path.stat()) for path in sorted(folder.rglob("*")))
    return tuple((path.name, entry.st_size, entry.st_mtime_ns) for path, entry in entries)
