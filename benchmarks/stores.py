"""The versions that are measured: those of a store that is given, or of a throw-away one."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.report import say
from models.card import ModelCard
from models.digits import MODEL_NAME

RECIPES = ("baseline", "deskew", "conv")
"""What is fitted where no store is given: a recipe for each architecture."""


@contextlib.contextmanager
def store_with(home: Path | None, recipes: Sequence[str]) -> Iterator[Path]:
    """Yield `home`, a BENTOML_HOME; without one, a throw-away one into which `recipes` are fitted and published."""
    if home:
        yield home
        return
    with tempfile.TemporaryDirectory() as throw_away:
        for recipe in recipes:
            say(f"fitting {recipe}")
            # By force, since one recipe may be worse than the one before.
            command = [sys.executable, "-m", "training", "--recipe", recipe, "--force", "--quiet"]
            subprocess.run(command, env=os.environ | {"BENTOML_HOME": throw_away}, check=True, stdout=sys.stderr)
        yield Path(throw_away)


def newest_by_recipe(home: Path) -> dict[str, Path]:
    """Return the folder of the newest version of each recipe in the BENTOML_HOME `home`, in the order of publication."""
    folders = [path.parent for path in (home / "models" / MODEL_NAME).glob("*/card.json")]
    cards = sorted(((ModelCard.read(folder), folder) for folder in folders), key=lambda pair: pair[0].created)
    return {str(card.recipe["name"]): folder for card, folder in cards}


def newest_of(recipe: str, home: Path) -> Path:
    """Return the folder of the newest version of `recipe` in the BENTOML_HOME `home`.

    Raises:
        RuntimeError: there is none.
    """
    found = newest_by_recipe(home).get(recipe)
    if not found:
        raise RuntimeError(f"{home} has no version of {recipe}; publish one with `python -m training --recipe {recipe}`.")
    return found


def copy_alone(version: Path, home: Path) -> None:
    """Make `home` a BENTOML_HOME that serves a copy of the version in the folder `version` and has no other."""
    versions = home / "models" / MODEL_NAME
    shutil.copytree(version, versions / version.name)
    (versions / "latest").write_text(version.name)
