"""Which version is served: found in the store, loaded, and proved before it answers anyone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
from bentoml.exceptions import BentoMLException, NotFound
from numpy.typing import NDArray

from models.card import GOLDEN_FILE, PARITY_TOLERANCE, WEIGHTS_FILE, ModelCard
from models.digits import check_images
from service.engine import Device, Engine, load_engine


class CatalogError(ValueError):
    """The version asked for is not in the store, or is not fit to be served."""


@dataclass(frozen=True, eq=False)
class Version:
    """A proved version: its card, the engine that computes it, its weights (784, 10) and biases (10,) for explaining."""

    card: ModelCard
    engine: Engine
    weights: NDArray[np.float32]
    biases: NDArray[np.float32]

    @property
    def tag(self) -> str:
        return self.card.tag


class Catalog:
    """Holds the version that is served."""

    def __init__(self, tag: str, device: Device) -> None:
        self._tag = tag
        self._device: Device = device
        self._served: Version | None = None

    def load(self) -> Version:
        """Load and prove the version asked for, and serve it from now on. Raises as `load_version`."""
        self._served = load_version(self._tag, self._device)
        return self._served

    @property
    def served(self) -> Version:
        assert self._served is not None, "load() comes before the first request"
        return self._served


def find_version(tag: str) -> tuple[Path, ModelCard]:
    """Return the folder and the card of `tag` ("digit-classifier:latest" or a version), found whole in the store.

    Raises:
        CatalogError: it is not there, or its files are not those that were published.
    """
    try:
        folder = Path(bentoml.models.get(tag).path)
        card = ModelCard.read(folder)
        card.check_files(folder)
    except NotFound:
        raise CatalogError(f"{tag} is not in the BentoML store; `make train` (python -m training) publishes one.") from None
    except (BentoMLException, OSError, ValueError) as error:
        raise CatalogError(f"{tag} cannot be served: {error}") from None
    return folder, card


def load_version(tag: str, device: Device) -> Version:
    """Load `tag` from the store and prove that it is whole and answers its golden digits as published.

    Raises:
        CatalogError: it is not there, not whole, or answers something else.
        NoGpuError: `device` is "gpu", and there is none.
    """
    folder, card = find_version(tag)
    weights, biases = _read_arrays(folder / WEIGHTS_FILE, "weights", "biases")
    version = Version(card, load_engine(folder, device), weights, biases)
    _prove_golden_digits(version, folder / GOLDEN_FILE)
    return version


def _read_arrays(path: Path, *names: str) -> tuple[NDArray[Any], ...]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return tuple(arrays[name] for name in names)
    except (ValueError, KeyError, OSError) as error:
        raise CatalogError(f"{path} does not hold {' and '.join(names)}: {error}") from None


def _prove_golden_digits(version: Version, path: Path) -> None:
    images, expected = _read_arrays(path, "images", "probabilities")
    difference = float(np.abs(version.engine.run(check_images(images)) - expected).max())
    if not difference <= PARITY_TOLERANCE:  # so written, NaN is refused too
        raise CatalogError(
            f"{version.tag} answers its golden digits up to {difference:.1e} away from what was published; "
            f"at most {PARITY_TOLERANCE:.0e} is allowed."
        )
