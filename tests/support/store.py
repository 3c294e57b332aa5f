"""Versions in a store: copied, made the latest, damaged, and sealed again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from models.card import CARD_FILE, LITERT_FILE, ModelCard, sha256_of_files
from models.digits import MODEL_NAME
from tests.support.project import ROOT

AddVersion = Callable[..., ModelCard]
MakeVersion = Callable[..., Path]

# Published by the code of before cards had a schema version, and by that of schema 2; not to be changed.
SCHEMA_1, SCHEMA_2 = (
    next((ROOT / f"tests/fixtures/store_of_schema_{schema}/models" / MODEL_NAME).glob("*/")) for schema in (1, 2)
)

LATEST = f"{MODEL_NAME}:latest"


def published_version(home: Path) -> Path:
    """Return the folder of the version that is served from `home`, a BENTOML_HOME."""
    versions = home / "models" / MODEL_NAME
    return versions / (versions / "latest").read_text()


def copy_version(versions: Path, version: str, to: str) -> Path:
    """Put a copy of `version` into the store as version `to`, and return its folder. `latest` is not touched."""
    folder = shutil.copytree(versions / version, versions / to)
    for name in ("card.json", "model.yaml"):
        (folder / name).write_text((folder / name).read_text().replace(version, to))
    return folder


def make_latest(versions: Path, version: str) -> None:
    """Let `latest` mean `version`, as publishing and rolling back do."""
    (versions / ".latest.new").write_text(version)
    (versions / ".latest.new").replace(versions / "latest")


def reseal(folder: Path) -> None:
    """Write the card's checksums anew, so that only what the files say can be wrong."""
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | {"sha256": sha256_of_files(folder)}))


def half_written(folder: Path) -> None:
    (folder / CARD_FILE).unlink()


def corrupt(folder: Path) -> None:
    with (folder / LITERT_FILE).open("r+b") as file:
        file.seek(2000)
        file.write(b"corrupt")
