"""What tests of the service need besides: one digit, the published model as Keras has it, versions put into a store."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from models.card import KERAS_FILE
from models.digits import MODEL_NAME
from training.data import Mnist


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


@pytest.fixture(scope="session")
def digit(mnist: Mnist) -> np.ndarray:
    """Return one test digit, a seven, as uint8 of shape (784,)."""
    return mnist.test.images[0]


@pytest.fixture(scope="session")
def version_folder(published_home: Path) -> Path:
    versions = published_home / "models" / MODEL_NAME
    return versions / (versions / "latest").read_text()


@pytest.fixture(scope="session")
def classifier(version_folder: Path) -> keras.Sequential:
    """Return what was published, as Keras has it."""
    loaded = keras.saving.load_model(version_folder / KERAS_FILE, compile=False)
    assert isinstance(loaded, keras.Sequential)
    return loaded
