"""How the service starts, or says why it does not; what its process is made of; the bento."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from models.digits import MODEL_NAME
from tests.support.project import ROOT, SEVEN
from tests.support.refused import refused_start
from tests.support.serving import Server, free_port, serving


def test_without_a_model_it_says_how_to_publish_one(tmp_path: Path) -> None:
    assert "digit-classifier:latest is not in the BentoML store; `make train`" in refused_start(tmp_path)


def test_a_gpu_that_is_not_there_stops_the_start_with_advice(home: Path) -> None:
    said = refused_start(home, DEVICE="gpu")
    assert "DEVICE=gpu, but the NVIDIA driver reports no GPU" in said
    assert "DEVICE=auto" in said


def test_a_setting_that_cannot_be_used_is_named(home: Path) -> None:
    assert "DEVICE=tpu: Input should be 'auto', 'cpu' or 'gpu'" in refused_start(home, DEVICE="tpu")


def test_a_port_that_is_taken_or_none_is_said_in_a_sentence(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port} is taken: stop what listens there, or choose another" in refused_start(home, port)
    assert "'80000' is not a port: a number from 0 to 65535 is expected" in refused_start(home, 80000)
    assert "Port 3000 of 198.51.100.1: Cannot assign requested address" in refused_start(
        home, 3000, BENTOML_HOST="198.51.100.1"
    )


@pytest.mark.parametrize("host", ["", "127.0.0.2"])
def test_it_listens_on_this_machine_alone_unless_told_otherwise_and_logs_where(home: Path, host: str) -> None:
    with serving(home, BENTOML_HOST=host, HOST="127.0.0.3") as server:  # shells export HOST
        (worker,) = server.workers()
        connections = psutil.Process(worker).net_connections("tcp")
    assert {each.laddr for each in connections if each.status == psutil.CONN_LISTEN} == {server.address}
    assert server.address[0] == (host or "127.0.0.1")
    said = [line["message"] for line in map(json.loads, server.log.read_text().splitlines())]
    assert [line for line in said if "http://" in line] == [f"listening on {server.url}"]


@pytest.mark.parametrize("broken", ["model.tflite", "golden.npz", "card.json"])
def test_a_damaged_version_is_not_served(home: Path, broken: str) -> None:
    versions = home / "models" / MODEL_NAME
    with (versions / (versions / "latest").read_text() / broken).open("ab") as file:
        file.write(b"x")
    assert broken in refused_start(home)


HOLD_UP_LOADING = """
import pathlib, time
import numpy as np
load, here = np.load, pathlib.Path(__file__).parent
def load_once_it_may(*arguments, **options):
    (here / "loading").touch()
    while not (here / "go-on").exists():
        time.sleep(0.01)
    return load(*arguments, **options)
np.load = load_once_it_may
"""


def test_a_worker_is_not_ready_before_its_version_is_proved(home: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOLD_UP_LOADING)
    port, seen = free_port(), []

    def watch() -> None:
        while not (tmp_path / "loading").exists():
            time.sleep(0.01)
        for _ in range(10):
            try:
                seen.append(httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=0.2).status_code)
            except httpx.TransportError:
                seen.append(None)
        (tmp_path / "go-on").touch()

    watching = threading.Thread(target=watch)
    watching.start()
    with serving(home, port=port, PYTHONPATH=str(tmp_path)):
        watching.join()
    assert len(seen) == 10
    assert 200 not in seen


def test_a_pinned_version_is_served_although_another_is_latest(home: Path) -> None:
    versions = home / "models" / MODEL_NAME
    pinned = (versions / "latest").read_text()
    shutil.copytree(versions / pinned, versions / "other")
    (versions / "latest").write_text("other")
    with serving(home, MODEL=f"{MODEL_NAME}:{pinned}") as server:
        assert httpx.get(f"{server.url}/model").json()["version"] == pinned


def test_a_cpu_worker_loads_neither_tensorflow_nor_keras(server: Server) -> None:
    assert server.predict(SEVEN).status_code == 200
    for worker in server.workers():
        mapped = Path(f"/proc/{worker}/maps").read_text()
        assert "ai_edge_litert" in mapped
        assert "/tensorflow/" not in mapped


def test_every_log_line_is_json_when_nobody_watches(server: Server) -> None:
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert any(line["message"].startswith(f"serving {MODEL_NAME}:") for line in lines)


def test_the_access_log_is_there_by_a_setting(home: Path) -> None:
    with serving(home, ACCESS_LOG="true") as server:
        server.predict(SEVEN)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert any("path=/predict" in line["message"] and "status=200" in line["message"] for line in lines)


def test_a_traced_request_is_found_in_the_log_by_the_callers_trace_and_the_answers_id(home: Path) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    with serving(home, ACCESS_LOG="true", TRACING="true") as server:
        answer = server.predict(SEVEN, traceparent=f"00-{trace_id}-b7ad6b7169203331-01")
        assert answer.json()["digits"] == [7]
    (line,) = [line for line in map(json.loads, server.log.read_text().splitlines()) if "path=/predict" in line["message"]]
    assert (line["trace_id"], line["span_id"]) == (trace_id, answer.headers["x-request-id"])


def test_no_timer_outlives_a_request(server: Server) -> None:
    """BentoML's timeout keeps one for each request; the app comes before it, so that a worker's memory stays flat."""
    (worker,) = server.workers()
    # httpx would take three times as long.
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))

    def bytes_after(count: int) -> int:
        for _ in range(count):
            connection.request("POST", "/predict", bytes(784), {"content-type": "application/octet-stream"})
            assert len(connection.getresponse().read()) > 0
        return resident_bytes(worker)

    bytes_after(2000)
    before = bytes_after(2000)
    grown = bytes_after(6000) - before
    connection.close()
    print(f"6,000 requests: {grown / 1024:.0f} KiB more")
    assert grown < 2 * 2**20


def resident_bytes(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_it_stops_when_asked(home: Path) -> None:
    with serving(home) as server:
        server.predict(SEVEN)
        workers = server.workers()
        server.process.terminate()
        assert server.process.wait(20) == 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_before_it_stops_it_is_not_ready_for_a_while_and_answers_all_the_same(home: Path) -> None:
    with serving(home, DRAIN_SECONDS="2") as server:
        server.process.terminate()
        told = time.monotonic()
        while (ready := httpx.get(f"{server.url}/readyz")).status_code == 200 and time.monotonic() < told + 1:
            time.sleep(0.05)
        assert ready.status_code == 503
        assert "is stopping" in ready.json()["error"]
        assert "or retry after 2 s." in ready.json()["error"]
        assert ready.headers["retry-after"] == "2"
        assert server.predict(SEVEN).status_code == 200
        assert server.process.wait(20) == 0
        assert 2 < time.monotonic() - told < 6


def test_bentoml_build_makes_a_bento_that_bentoml_serve_runs(home: Path, tmp_path: Path) -> None:
    built = subprocess.run(
        [Path(sys.executable).parent / "bentoml", "build", "--output", "tag"],
        cwd=ROOT,
        env=os.environ | {"BENTOML_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    tag = built.stdout.strip().removeprefix("__tag__:")
    bento = home / "bentos" / tag.replace(":", "/")
    # Its image would be reached by nobody otherwise.
    assert "BENTOML_HOST=0.0.0.0" in (bento / "env/docker/Dockerfile").read_text()
    packed = {path.relative_to(bento / "src").as_posix() for path in (bento / "src").rglob("*.py")}
    assert "service/service.py" in packed
    assert not {path for path in packed if path.startswith(("training/", "tests/"))}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with serving(home, tag, cwd=elsewhere) as server:
        assert server.predict(SEVEN).json()["digits"] == [7]


def test_nothing_of_the_service_is_left_in_a_store_that_it_only_reads(home: Path) -> None:
    before = {path for path in (home / "models").rglob("*") if path.is_file()}
    shutil.rmtree(home / "prometheus_multiproc_dir", ignore_errors=True)
    with serving(home) as server:
        server.predict(SEVEN)
    assert {path for path in (home / "models").rglob("*") if path.is_file()} == before
