"""What tests of the service need besides: one digit, the published model as Keras has it, versions put into a store."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from models.card import KERAS_FILE
from models.digits import MODEL_NAME
from service.observability import metrics
from tests.support.metrics import Series, series_in
from training.data import Mnist


@pytest.fixture(scope="session")
def digit(mnist: Mnist) -> np.ndarray:
    """Return one test digit, a seven, as uint8 of shape (784,)."""
    return mnist.test.images[0]


@pytest.fixture
def counts() -> Callable[[], Series]:
    """Return what tells the series of this process, which counts from 0."""
    metrics.start([])
    return lambda: series_in(metrics.exposition().decode())


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
