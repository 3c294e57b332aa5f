"""Versions in the store of this process, without a fit for each."""

import shutil
from pathlib import Path

import pytest

from models.card import CARD_FILE, ModelCard
from tests.support.store import AddVersion


@pytest.fixture
def add_version(published_home: Path, versions_folder: Path) -> AddVersion:
    """Return a function that puts a copy of the published version into this store, changes its card and serves it."""
    original = next(path for path in (published_home / "models" / versions_folder.name).iterdir() if path.is_dir())

    def add(version: str, **changes: object) -> ModelCard:
        folder = Path(shutil.copytree(original, versions_folder / version))
        card = ModelCard.read(folder).model_copy(update={"version": version, **changes})
        (folder / CARD_FILE).write_text(card.model_dump_json())
        (versions_folder / "latest").write_text(version)
        return card

    return add
