"""What is in a store after a version was added to it, or was not."""

from pathlib import Path

import bentoml

from models.card import CARD_FILE
from training.store import problem_of_served, published_versions


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_whole(versions: Path) -> None:
    """Check that what is served can be, that BentoML reads the store, and that only folders without a card are unfinished."""
    assert problem_of_served() is None
    listed = {str(model.tag.version) for model in bentoml.models.list()}
    assert listed == {path.name for path in versions.iterdir() if path.is_dir()}
    assert {entry.version for entry in published_versions() if not entry.problem} == {
        version for version in listed if (versions / version / CARD_FILE).exists()
    }
