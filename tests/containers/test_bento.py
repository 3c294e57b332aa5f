"""The other kind of image: `bentoml containerize` makes one of a bento, with its model inside."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.digits import MODEL_NAME
from tests.support.stack import Stack, answers_seven, docker, megabytes, run
from tests.support.training import run_training
from tests.support.waiting import until

BENTOML = Path(sys.executable).parent / "bentoml"
IMAGE = "digit-classifier-bento"


@pytest.fixture(scope="module")
def home(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a BENTOML_HOME with the version that the stack has trained."""
    home = tmp_path_factory.mktemp("home")
    docker("cp", f"{stack.containers('service')[0]}:/bentoml/models", str(home))
    return home


@pytest.fixture(scope="module")
def pinned(home: Path) -> str:
    return (home / "models" / MODEL_NAME / "latest").read_text()


@pytest.fixture(scope="module")
def container(home: Path, pinned: str, figures: dict[str, str]) -> Iterator[str]:
    """Build a bento, publish a newer version beside it, and run the image that is made of the bento after that."""
    environment = {"BENTOML_HOME": str(home)}
    tag = run(BENTOML, "build", "--output", "tag", environment=environment).splitlines()[-1].removeprefix("__tag__:")
    newer = run_training(home, "--quiet", "--recipe", "sgd", "--epochs", "1", "--force")
    assert newer.returncode == 0, newer.stderr
    assert (home / "models" / MODEL_NAME / "latest").read_text() != pinned
    run(BENTOML, "containerize", tag, "-t", IMAGE, environment=environment)
    figures["the image of bentoml containerize, MB"] = f"{megabytes(IMAGE):.0f}"
    container = docker("run", "-d", "-p", "127.0.0.1::3000", IMAGE)
    yield container
    docker("rm", "-f", container)
    docker("rmi", "-f", IMAGE)


def test_it_serves_the_version_that_it_was_built_with_although_a_newer_one_was_published(container: str, pinned: str) -> None:
    url = "http://" + docker("port", container, "3000/tcp").splitlines()[0]
    until(lambda: answers_seven(url), 60, "the first answer")
    assert httpx.get(f"{url}/model").json()["version"] == pinned


def test_it_stops_in_time_with_exit_0(container: str) -> None:
    docker("stop", "-t", "20", container)
    assert docker("inspect", "-f", "{{.State.ExitCode}}", container) == "0"
