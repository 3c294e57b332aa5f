"""What many tests need: the real digits, a tiny data set, a throw-away store, a published model, a running server."""

import gzip
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

# Before TensorFlow, BentoML or prometheus_client are imported by any test.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["BENTOML_DO_NOT_TRACK"] = "True"

import pytest
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.models import ModelStore

from models.digits import MODEL_NAME
from tests.support.serving import Server, serving
from tests.support.training import idx_bytes, run_training
from training.data import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, Mnist, read_mnist


@pytest.fixture(scope="session")
def mnist() -> Mnist:
    return read_mnist()


@pytest.fixture(scope="session")
def tiny_data(mnist: Mnist, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the first 1,200 training and 200 test digits of MNIST, as gzip."""
    folder = tmp_path_factory.mktemp("tiny")
    arrays = {
        TRAIN_IMAGES: mnist.train.images[:1200].reshape(-1, 28, 28),
        TRAIN_LABELS: mnist.train.labels[:1200],
        TEST_IMAGES: mnist.test.images[:200].reshape(-1, 28, 28),
        TEST_LABELS: mnist.test.labels[:200],
    }
    for name, array in arrays.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    return folder


@pytest.fixture
def versions_folder(tmp_path: Path) -> Iterator[Path]:
    """Give this process an empty model store and return the folder that the versions will be in."""
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    before = BentoMLContainer.model_store_dir.get(), BentoMLContainer.model_store.get()
    BentoMLContainer.model_store_dir.set(str(models))
    BentoMLContainer.model_store.set(ModelStore(models))
    yield models / MODEL_NAME
    BentoMLContainer.model_store_dir.set(before[0])
    BentoMLContainer.model_store.set(before[1])


@pytest.fixture(scope="session")
def published_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a BENTOML_HOME in which the command line has published the baseline, seed 0. Not to be changed."""
    if made_before := os.environ.get("MUTANTS_HOME"):
        return Path(made_before)
    home = tmp_path_factory.mktemp("home")
    finished = run_training(home, "--quiet")
    assert finished.returncode == 0, finished.stderr
    return home


@pytest.fixture(scope="session")
def conv_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a BENTOML_HOME with a version of `conv` after one epoch, for one server at a time. Not to be changed."""
    home = tmp_path_factory.mktemp("conv")
    finished = run_training(home, "--quiet", "--recipe", "conv", "--epochs", "1", "--force")
    assert finished.returncode == 0, finished.stderr
    return home


@pytest.fixture
def published_store(published_home: Path, versions_folder: Path) -> Path:
    """Give this process a store of its own with the published baseline, and return the folder of the versions."""
    shutil.copytree(published_home / "models" / MODEL_NAME, versions_folder)
    return versions_folder


@pytest.fixture
def home(published_home: Path, tmp_path: Path) -> Path:
    """Return a BENTOML_HOME of the test's own with the published model in it."""
    shutil.copytree(published_home / "models", tmp_path / "home" / "models")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def reading_home(published_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a BENTOML_HOME for the one server of a module, whose published model is everybody's: not to be changed."""
    home = tmp_path_factory.mktemp("reading")
    (home / "models").symlink_to(published_home / "models")
    return home


@pytest.fixture(scope="session")
def server(published_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a service that many tests share: one worker, default settings."""
    home = tmp_path_factory.mktemp("serving")
    shutil.copytree(published_home / "models", home / "models")
    with serving(home) as running:
        yield running


@pytest.fixture(scope="session")
def deskewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a service whose version deskews what it is sent, fitted for one epoch."""
    home = tmp_path_factory.mktemp("deskewed")
    finished = run_training(home, "--quiet", "--recipe", "deskew", "--epochs", "1", "--force")
    assert finished.returncode == 0, finished.stderr
    with serving(home) as running:
        yield running
