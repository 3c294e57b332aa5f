"""One real run, as short as wrk can: whole seconds."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.digits import MODEL_NAME
from tests.support.project import ROOT
from tests.support.store import published_version

needs_wrk = pytest.mark.skipif(
    shutil.which("wrk") is None or not {0, 1} <= os.sched_getaffinity(0), reason="needs wrk and the cores 0 and 1"
)


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments, "--home", str(home)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@needs_wrk
def test_a_quick_run_measures_this_service(home: Path) -> None:
    finished = run(home, "--quick")
    assert finished.returncode == 0, finished.stderr
    assert "### 1 image, JSON, 16 connections" in finished.stdout
    ours = json.loads(finished.stdout.splitlines()[-1])["ours"]
    assert 0 < ours["start_seconds"] < 60
    assert 50 < ours["memory_mib"] < 1000
    figures = ours["scenarios"]["1 image, JSON, 16 connections"]
    assert figures["requests_per_second"] > 10
    assert 10 < figures["cpu_us_per_request"] < 100_000
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]


@pytest.mark.slow
@needs_wrk
def test_each_recipe_in_a_store_is_measured(home: Path, conv_home: Path) -> None:
    conv = published_version(conv_home)
    shutil.copytree(conv, home / "models" / MODEL_NAME / conv.name)
    finished = run(home, "recipes", "--quick")
    assert finished.returncode == 0, finished.stderr
    document = json.loads(finished.stdout.splitlines()[-1])
    assert list(document) == ["baseline", "conv"]
    for figures in document.values():
        assert figures["requests_per_second"] > 10
        assert 0 < figures["p50_ms"] <= figures["p99_ms"]
        assert 50 < figures["worker_mib"] < 1000
    of_1024 = [figures["engine_us_of_1024"] for figures in document.values()]
    assert 3 * of_1024[0] < of_1024[1]  # of conv about a hundred times as much


def test_an_unknown_server_is_refused_with_the_names(home: Path) -> None:
    finished = run(home, "--only", "ours,triton")
    assert finished.returncode == 1
    assert "--only has triton; the servers are ours, " in finished.stderr
