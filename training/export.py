"""The files of a version that compute, and the proof that they compute what Keras does."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import card
from models.architectures import build_deskew, for_litert
from models.exported import Outputs, answer_in_parts, load_litert, load_saved_model, native_chatter_held_back
from training.assessment import Candidate
from training.evaluate import probabilities_of
from training.novelty import scores_of, with_novelty

NUM_GOLDEN = 64


class ParityError(Exception):
    """An exported graph does not compute what Keras computes."""


def expected_of(candidate: Candidate) -> Outputs:
    """Return what Keras computes for the test digits."""
    images = candidate.data.test.images
    return Outputs(probabilities_of(candidate.fit.classifier, images), scores_of(candidate.novelty_model, images))


def export(candidate: Candidate, expected: Outputs, folder: Path) -> None:
    """Write the graphs of `candidate`, its weights and its golden digits, answered as `expected`, into `folder`."""
    classifier, architecture = candidate.fit.classifier, candidate.recipe.architecture
    with_both = with_novelty(classifier, candidate.novelty_model)
    of_litert = {card.LITERT_FILE: for_litert(classifier)}
    of_litert[card.LITERT_WITH_NOVELTY_FILE] = with_novelty(of_litert[card.LITERT_FILE], candidate.novelty_model)
    if architecture == "deskew":
        of_litert[card.DESKEW_FILE] = build_deskew()
    with native_chatter_held_back():
        classifier.save(folder / card.KERAS_FILE)
        with_both.export(folder / card.SAVED_MODEL_FOLDER, format="tf_saved_model", verbose=False)
        for name, graph in of_litert.items():
            graph.export(folder / name, format="litert", verbose=False)
    if architecture != "conv":  # whose logits are no product of the pixels and weights
        _save(folder / card.WEIGHTS_FILE, dict(zip(("weights", "biases"), classifier.get_weights(), strict=True)))
    test = candidate.data.test
    golden = {"images": test.images, "labels": test.labels} | expected._asdict()
    _save(folder / card.GOLDEN_FILE, {name: array[:NUM_GOLDEN] for name, array in golden.items()})


def _save(path: Path, arrays: dict[str, NDArray]) -> None:
    np.savez_compressed(path, **arrays)  # pyright: ignore[reportArgumentType]: no array is called allow_pickle


def proved_parity(expected: Outputs, images: NDArray[np.uint8], folder: Path) -> dict[str, float]:
    """Return how far the graphs in `folder` are from `expected`, of Keras: probabilities, and novelty as a share of its score.

    Raises:
        ParityError: one is too far, or the two LiteRT files give probabilities that differ at all.
    """
    pixels, litert = images.astype(np.float32), load_litert(folder)
    answers = {
        "litert": answer_in_parts(litert, pixels, True),
        "saved_model": answer_in_parts(load_saved_model(folder), pixels, True),
    }
    if not np.array_equal(
        answer_in_parts(litert, pixels, False).probabilities, answers["litert"].probabilities, equal_nan=True
    ):
        raise ParityError("the two LiteRT files give different probabilities for the test digits")
    parity = {}
    for name, (probabilities, novelty) in answers.items():
        assert novelty is not None
        assert expected.novelty is not None
        parity[name] = float(np.abs(probabilities - expected.probabilities).max())
        _refuse_above(card.PARITY_TOLERANCE, parity[name], f"the {name} export differs")
        parity[f"{name}_novelty"] = float(np.abs(novelty / expected.novelty - 1).max())
        _refuse_above(card.NOVELTY_TOLERANCE, parity[f"{name}_novelty"], f"the novelty of the {name} export differs")
    return parity


def _refuse_above(allowed: float, difference: float, what_differs: str) -> None:
    if not difference <= allowed:  # so written, NaN is refused too
        sentence = f"{what_differs} from Keras by up to {difference:.1e} on the test digits"
        raise ParityError(f"{sentence}; at most {allowed:.0e} is allowed")
