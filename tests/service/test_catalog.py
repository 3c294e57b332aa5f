import json
from pathlib import Path

import numpy as np
import pytest

from models.card import CARD_FILE, GOLDEN_FILE, ModelCard, sha256_of_files
from models.digits import MODEL_NAME
from service.catalog import Catalog, CatalogError, find_version

LATEST = f"{MODEL_NAME}:latest"


def reseal(folder: Path) -> None:
    """Write the card's checksums anew, so that only what the files say can be wrong."""
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | {"sha256": sha256_of_files(folder)}))


def test_a_whole_version_is_loaded_proved_and_served(published_store: Path) -> None:
    catalog = Catalog(LATEST, "cpu")
    version = catalog.load()
    assert catalog.served is version
    assert version.card == ModelCard.read(published_store / version.card.version)


def test_a_version_that_answers_its_golden_digits_otherwise_is_refused(published_store: Path) -> None:
    folder, _ = find_version(LATEST)
    with np.load(folder / GOLDEN_FILE) as golden:
        arrays = dict(golden)
    arrays["probabilities"][63, 3] += 2e-5
    np.savez_compressed(folder / GOLDEN_FILE, **arrays)
    reseal(folder)
    with pytest.raises(CatalogError, match=r"golden digits up to [12]\.\de-05 away .* at most 3e-06"):
        Catalog(LATEST, "cpu").load()


def test_golden_digits_that_are_a_pickle_are_not_loaded(published_store: Path) -> None:
    folder, _ = find_version(LATEST)
    np.savez_compressed(folder / GOLDEN_FILE, images=np.array([{}], object), probabilities=np.zeros((1, 10)))
    reseal(folder)
    with pytest.raises(CatalogError, match=GOLDEN_FILE):
        Catalog(LATEST, "cpu").load()


def test_a_half_written_version_is_refused(published_store: Path) -> None:
    folder, _ = find_version(LATEST)
    (folder / CARD_FILE).unlink()
    with pytest.raises(CatalogError, match=r"has no card\.json: it was not published whole"):
        find_version(LATEST)


def test_a_version_that_is_not_there_is_named(published_store: Path) -> None:
    with pytest.raises(CatalogError, match=f"{MODEL_NAME}:gone is not in the BentoML store"):
        find_version(f"{MODEL_NAME}:gone")


def test_an_empty_store_says_how_to_fill_it(versions_folder: Path) -> None:
    with pytest.raises(CatalogError, match="make train"):
        find_version(LATEST)
