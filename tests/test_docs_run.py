"""The documents, executed: their commands and programs run against a service that was started as README says."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.curl import write_stand_in
from tests.support.documents import Example, examples, mismatch, quoted, rows, section
from tests.support.project import ROOT
from tests.support.serving import free_port

EXAMPLES = examples()
COMMANDS = [example.code for example in EXAMPLES if example.language == "sh"]
# These serve until they are stopped: fixtures and a test start two of them.
SERVING = ["make serve", ".venv/bin/bentoml serve", ".venv/bin/bentoml serve --port 3001"]
# `make serve` does the first before it serves; the second is part of what runs this.
RUN_ANYWAY = ["make setup", ".venv/bin/python -m pytest tests/models/test_digits.py -x -q"]
# These need a container engine: tests/containers runs what they run.
CONTAINERS = [command for command in COMMANDS if command.startswith("docker ")]
# A training, as others in here are too, and what needs its version.
SLOW = ['make train ARGS="--recipe baseline --seed 1"', ".venv/bin/python -m training rollback"]
RUN = [example for example in EXAMPLES if example.code not in SERVING + RUN_ANYWAY + CONTAINERS]


@pytest.fixture(scope="module", autouse=True)
def _curl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Put a stand-in for curl on PATH where there is none."""
    with pytest.MonkeyPatch.context() as patch:
        if shutil.which("curl") is None:
            folder = write_stand_in(tmp_path_factory.mktemp("bin")).parent
            patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documents")


@contextlib.contextmanager
def started(command: str, home: Path) -> Iterator[str]:
    """Run a command that serves, and yield the address."""
    port = free_port()
    command += f" PORT={port}" if command.startswith("make") else f" --port {port}"
    with (home / "out").open("w") as out:
        environment = os.environ | {"BENTOML_HOME": str(home)}
        process = subprocess.Popen(
            command, shell=True, cwd=ROOT, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert process.poll() is None, (home / "out").read_text()
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://localhost:{port}/readyz", timeout=1).raise_for_status()
                break
            time.sleep(0.2)
        yield f"localhost:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    """Start what the README starts with, `make serve`, on a store that is empty."""
    with started("make serve", home) as address:
        yield address


def run(example: Example, home: Path, address: str) -> str:
    code = example.code.replace("localhost:3000", address)
    return subprocess.check_output(
        [sys.executable, "-c", code] if example.language == "python" else ["/bin/sh", "-c", code],
        cwd=ROOT,
        env=os.environ | {"BENTOML_HOME": str(home)},
        text=True,
    )


def as_parameter(example: Example) -> object:
    return pytest.param(example, id=example.place, marks=pytest.mark.slow if example.code in SLOW else ())


@pytest.mark.parametrize("example", map(as_parameter, RUN))
def test_a_command_or_program_prints_what_is_shown(example: Example, home: Path, address: str) -> None:
    printed = run(example, home, address)
    assert example.shown is None or not (difference := mismatch(example.shown, printed)), difference


def test_every_docker_command_is_one_that_the_container_tests_run() -> None:
    # The backup's are read from the document by the test that runs them.
    assert [command for command in CONTAINERS if "models.tar" not in command] == [
        "docker compose up",
        "docker compose up --scale service=3",
        "docker compose run --rm train --seed 1",
        "docker compose -f docker-compose.yml -f docker-compose.gpu.yml up",
        "docker compose down -v",
        "docker compose --profile alerts up -d",
    ]


def test_plain_bentoml_serve_works_after_make_serve(home: Path, address: str) -> None:
    asked = next(example for example in RUN if example.code.startswith("curl"))
    assert asked.shown
    with started(".venv/bin/bentoml serve", home) as other:
        assert not (difference := mismatch(asked.shown, run(asked, home, other))), difference


def test_the_accuracy_shown_is_that_of_the_model_that_make_serve_trains(address: str) -> None:
    card = httpx.get(f"http://{address}/model").json()
    shown = dict(cells[:2] for cells in rows(section("README.md", "## Measured")))
    assert not mismatch(
        shown["accuracy on the 10,000 test digits, seed 0"], f"{card['test']['accuracy']:.2%}".replace("%", " %")
    )


def test_the_metrics_are_those_that_are_shown(address: str) -> None:
    seven = (ROOT / "examples/seven.json").read_bytes()
    httpx.post(f"http://{address}/predict", content=seven, headers={"content-type": "application/json"}).raise_for_status()
    assert httpx.get(f"http://{address}/nowhere").status_code == 404
    exposed = {}
    for family in text_string_to_metric_families(httpx.get(f"http://{address}/metrics").text):
        labels = {label for sample in family.samples for label in sample.labels if label != "le"}
        name = family.name + "_total" * (family.type == "counter")
        exposed[name] = family.type, labels
    tables = section("docs/metrics.md", "# Metrics").partition("\n## ")[0] + section("docs/metrics.md", "## Saturation")
    shown = {name.strip("`"): (kind, set(quoted(labels))) for name, kind, labels, _ in rows(tables)}
    assert shown == exposed


def test_the_stages_are_those_of_the_answer(address: str) -> None:
    (description,) = (cells[1] for cells in rows(section("docs/api.md", "### The answer")) if cells[0] == "`Server-Timing`")
    seven = (ROOT / "examples/seven.json").read_bytes()
    answer = httpx.post(f"http://{address}/predict", content=seven, headers={"content-type": "application/json"})
    assert quoted(description) == re.findall(r"(\w+);dur=", answer.headers["server-timing"])
