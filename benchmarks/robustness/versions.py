"""Published versions as functions: images in, answers out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.robustness.measure import Answers
from models.card import LITERT_FILE, ModelCard
from models.digits import MODEL_NAME
from models.exported import load_litert

_BATCH_IMAGES = 1000  # of 10,000 at once, a convolutional network would keep gigabytes


def newest_of(recipe: str, home: Path) -> Path:
    """Return the folder of the newest version of `recipe` in the BENTOML_HOME `home`.

    Raises:
        RuntimeError: there is none.
    """
    folders = [path.parent for path in (home / "models" / MODEL_NAME).glob("*/card.json")]
    cards = {folder: ModelCard.read(folder) for folder in folders}
    found = [folder for folder, card in cards.items() if card.recipe["name"] == recipe]
    if not found:
        raise RuntimeError(f"{home} has no version of {recipe}; publish one with `python -m training --recipe {recipe}`.")
    return max(found, key=lambda folder: cards[folder].created)


def answering(folder: Path) -> Callable[[NDArray[np.uint8]], Answers]:
    """Return what the version in `folder` answers to uint8 images of shape (N, 784), as the service computes it."""
    graph = load_litert(folder / LITERT_FILE)

    def answer(images: NDArray[np.uint8]) -> Answers:
        batches = np.array_split(images.astype(np.float32), -(-len(images) // _BATCH_IMAGES))
        probabilities = np.concatenate([graph(batch) for batch in batches])
        return Answers(probabilities.argmax(axis=1), None, {"confidence": 1 - probabilities.max(axis=1).astype(np.float64)})

    return answer
