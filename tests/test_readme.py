"""The README, executed: its commands run, its answers are those that come, its figures of contract are the code's."""

import contextlib
import http.server
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.settings import Settings
from tests.conftest import ROOT
from tests.support.serving import free_port

README = (ROOT / "README.md").read_text()
COMMANDS = "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).splitlines()
# These serve until they are stopped, or would run this test inside itself.
SERVING, RECURSIVE = ["make serve", ".venv/bin/bentoml serve"], ["make test"]
# These need a container engine: tests/containers runs what they run.
CONTAINERS = [command for command in COMMANDS if command.startswith("docker ")]


def write_stand_in_for_curl(folder: Path) -> Path:
    stand_in = folder / "curl"
    command = shlex.join([sys.executable, str(ROOT / "tests/support/curl.py")])
    stand_in.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    stand_in.chmod(0o755)
    return stand_in


@pytest.fixture(scope="module", autouse=True)
def _curl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Put a stand-in for curl on PATH where there is none."""
    with pytest.MonkeyPatch.context() as patch:
        if shutil.which("curl") is None:
            folder = write_stand_in_for_curl(tmp_path_factory.mktemp("bin")).parent
            patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


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


def run(command: str, home: Path, address: str) -> str:
    return subprocess.check_output(
        command.replace("localhost:3000", address),
        shell=True,
        cwd=ROOT,
        env=os.environ | {"BENTOML_HOME": str(home)},
        text=True,
    )


def test_every_docker_command_is_one_that_the_container_tests_run() -> None:
    assert CONTAINERS == [
        "docker compose up",
        "docker compose up --scale service=3",
        "docker compose run --rm train --seed 1",
        "docker compose -f docker-compose.yml -f docker-compose.gpu.yml up",
        "docker compose down -v",
    ]


# A training, as others in here are too, and what needs its version.
SLOW = ['make train ARGS="--recipe baseline --seed 1"', ".venv/bin/python -m training rollback"]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(each, marks=pytest.mark.slow if each in SLOW else ())
        for each in COMMANDS
        if each not in SERVING + RECURSIVE + CONTAINERS
    ],
)
def test_a_command_runs(command: str, home: Path, address: str) -> None:
    assert run(command, home, address)


def test_the_answers_shown_are_those_that_come(home: Path, address: str) -> None:
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]
    came = [json.loads(run(command, home, address)) for command in COMMANDS if command.startswith("curl")]
    assert [answer.keys() for answer in came] == [answer.keys() for answer in shown]
    assert [answer.get("digits") for answer in came] == [answer.get("digits") for answer in shown]
    assert came[-1] == shown[-1]


def test_the_python_shown_runs(home: Path, address: str) -> None:
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        code = block.replace("localhost:3000", address)
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_port_that_is_taken_is_said_in_a_sentence_and_before_any_training(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = subprocess.run(
            ["make", "serve", f"PORT={port}"],
            cwd=ROOT,
            env=os.environ | {"BENTOML_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert finished.returncode != 0
    assert finished.stderr.startswith(f"Port {port} is taken: stop what listens there, or choose another: make serve PORT=")
    assert "Traceback" not in finished.stderr
    assert not (tmp_path / "models").exists()


class Echo(http.server.BaseHTTPRequestHandler):
    """Refuses every POST with its media type and its body, every boundary replaced."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        content_type, _, boundary = self.headers["content-type"].partition("; boundary=")
        self.send_response(400)
        self.end_headers()
        self.wfile.write(content_type.encode() + b"\n" + body.replace(boundary.encode() or b"\0", b"BOUNDARY"))

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (so it is called there)
        pass


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl to compare with")
@pytest.mark.parametrize(
    "options",
    [
        ["-d", "a=b"],
        ["-H", "content-type: application/json", "-d", '{"images": []}'],
        ["-H", "content-type: image/png", "--data-binary", "@FOLDER/digits.bin"],
        ["-F", "first=@FOLDER/digits.bin", "-F", "second=words"],
        ["-d", "@FOLDER/digits.bin", "-o", "FOLDER/output"],
    ],
    ids=lambda options: " ".join(options[:1] + options[-2:-1]),
)
def test_the_stand_in_for_curl_sends_and_shows_what_curl_does(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "digits.bin").write_bytes(bytes(range(14, 256)))
    server = http.server.HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    came = []
    for curl in ("curl", str(write_stand_in_for_curl(tmp_path))):
        words = [word.replace("FOLDER", str(tmp_path)) for word in options]
        printed = subprocess.check_output([curl, "-s", f"127.0.0.1:{server.server_port}/", *words])
        came.append((printed, (tmp_path / "output").read_bytes() if "-o" in options else b""))
    server.shutdown()
    came = [tuple(re.sub(rb"\r\nContent-Type: [^\r]*", b"", part) for part in parts) for parts in came]
    assert came[0] == came[1]
    assert any(came[0])


def test_plain_bentoml_serve_works_after_make_serve(home: Path, address: str) -> None:
    with started(".venv/bin/bentoml serve", home) as other:
        assert json.loads(run(next(each for each in COMMANDS if each.startswith("curl")), home, other))["digits"] == [7]


def test_the_settings_and_their_defaults_are_the_codes() -> None:
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \| (.+?) \|", README, re.MULTILINE)
    shown = dict(
        setting for names, defaults in rows for setting in zip(names.split(", "), as_listed(names, defaults), strict=True)
    )
    assert shown == {f"`{name.upper()}`": as_shown(name, value) for name, value in Settings().model_dump().items()}


def as_listed(names: str, defaults: str) -> list[str]:
    """Return the default of each of the settings in a row, which may share one."""
    listed = defaults.split(", ")
    return listed if len(listed) > 1 else listed * len(names.split(", "))


def as_shown(name: str, value: object) -> str:
    if name.endswith("_bytes"):
        return f"{int(str(value)) // 2**20} MiB"
    return {str: f"`{value}`", bool: "off", tuple: "none"}.get(type(value)) or f"{value:,g}"  # pyright: ignore[reportCallIssue]


def test_the_map_names_every_module_and_no_other() -> None:
    named = list(mapped(README.split("## The map")[1].split("```")[1]))
    modules = [path for room in ("models", "training", "service") for path in (ROOT / room).rglob("[!_]*.py")]
    assert sorted(named) == sorted(path.relative_to(ROOT).as_posix() for path in modules)


def mapped(text: str) -> Iterator[str]:
    """Yield the path of every module in a map that indents what is in a folder by two spaces or more."""
    folders: list[tuple[int, str]] = []
    for indent, name in re.findall(r"^( *)([\w./]+)", text, re.MULTILINE):
        folders = [folder for folder in folders if folder[0] < len(indent)]
        if name.endswith("/"):
            folders.append((len(indent), name))
        elif name.endswith(".py"):
            yield "".join(folder for _, folder in folders) + name
