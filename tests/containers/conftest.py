"""The images and the whole stack, on whatever container engine is at hand.

What cannot be pulled, because no registry can be reached, is built from Debian's packages under the tag that compose pins.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.project import ROOT
from tests.support.stack import Stack, docker, exists, run

HERE = Path(__file__).parent
# A stage of each has the name of the service.
STAND_IN_FILES = {
    "haproxy.Dockerfile": ("proxy",),
    "monitoring.Dockerfile": ("prometheus", "alertmanager", "blackbox"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("containers")


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, str]]:
    """Collect what was measured; it is printed at the end, for docs/performance.md."""
    measured: dict[str, str] = {}
    yield measured
    print("\n" + "\n".join(f"{what}: {figure}" for what, figure in measured.items()))


@pytest.fixture(scope="session")
def engine() -> None:
    """Fail at once, and say why, where there is no container engine."""
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.fail("no container engine answers `docker info`; start Docker, or say where it is with DOCKER_HOST.")
    if subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode:
        os.environ["DOCKER_BUILDKIT"] = "0"  # BentoML would ask for a frontend that has to be pulled


@pytest.fixture(scope="session")
def images(engine: None, figures: dict[str, str]) -> None:
    """Build what compose builds, and get what it pulls."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    began = time.monotonic()
    for service in ("service", "train"):  # one after the other: both at once would install the common stages twice
        run("docker", "compose", "build", service)
    figures["docker compose build, s"] = f"{time.monotonic() - began:.0f}"
    for file, names in STAND_IN_FILES.items():
        for name in names:
            get_or_build(services[name]["image"], str(HERE / file), name)


def get_or_build(image: str, file: str, stage: str) -> None:
    if not exists(image) and subprocess.run(["docker", "pull", "-q", image], capture_output=True, check=False).returncode:
        docker("build", "-q", "-t", image, "-f", file, "--target", stage, str(HERE))


@pytest.fixture(scope="session")
def stack(images: None, figures: dict[str, str]) -> Iterator[Stack]:
    """Return the stack after `docker compose up --wait`, without Grafana, which no registry gives here."""
    stack = Stack(f"digits-{os.getpid()}")
    began = time.monotonic()
    try:
        stack.up()
        figures["docker compose up --wait, with training, s"] = f"{time.monotonic() - began:.0f}"
        yield stack
    finally:
        stack.compose("down", "-v", "--timeout", "20")
