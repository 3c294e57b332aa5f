"""What tests of the service need besides: one digit, the published model as Keras has it, versions put into a store."""

from pathlib import Path

import keras
import numpy as np
import pytest

from models.card import KERAS_FILE
from models.digits import MODEL_NAME
from training.data import Mnist


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
