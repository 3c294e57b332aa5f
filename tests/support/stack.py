"""The whole stack in containers: commands, one `docker compose` project, clients that ask it."""

import contextlib
import json
import os
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from tests.support.project import ROOT, SEVEN
from tests.support.serving import free_port

HEADERS = {"content-type": "application/json"}
BASE_IMAGE = "python:3.11-slim"


# Grafana is the one that Debian does not have.
SERVICES = ("train", "service", "proxy", "prometheus")


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in the project's folder and return its standard output; show all that it said if it fails."""
    finished = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert finished.returncode == 0, f"{' '.join(map(str, command))}\n{finished.stdout[-4000:]}\n{finished.stderr[-4000:]}"
    return finished.stdout.strip()


def docker(*arguments: str) -> str:
    return run("docker", *arguments)


def exists(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0


def megabytes(image: str) -> float:
    return int(docker("image", "inspect", "-f", "{{.Size}}", image)) / 1e6


def answers_seven(url: str, seconds: float = 1) -> bool:
    try:
        answer = httpx.post(f"{url}/predict", content=SEVEN, headers=HEADERS, timeout=seconds)
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and answer.json()["digits"] == [7]


class Stack:
    """One `docker compose` project of the test's own, with ports of its own."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.addresses = {
            name: f"127.0.0.1:{free_port()}"
            for name in ("PROXY_ADDRESS", "TLS_ADDRESS", "PROMETHEUS_ADDRESS", "ALERTMANAGER_ADDRESS", "GRAFANA_ADDRESS")
        }
        self.environment = self.addresses | {"COMPOSE_PROJECT_NAME": project, "ACCESS_LOG": "true"}

    @property
    def url(self) -> str:
        return f"http://{self.addresses['PROXY_ADDRESS']}"

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.addresses["PROXY_ADDRESS"].partition(":")
        return host, int(port)

    def compose(self, *arguments: str) -> str:
        return run("docker", "compose", *arguments, environment=self.environment)

    @contextlib.contextmanager
    def another(self, service: str, *options: str, **settings: str) -> Iterator[str]:
        """Run one more container of `service` with `settings` of its own until the block ends, and yield its id."""
        command = ("docker", "compose", "run", "-d", "--no-deps", *options, service)
        container = run(*command, environment=self.environment | settings)
        try:
            yield container
        finally:
            docker("rm", "-f", container)

    def up(self, replicas: int = 1) -> None:
        self.compose("up", "--wait", "--wait-timeout", "180", "--scale", f"service={replicas}", *SERVICES)

    def containers(self, service: str) -> list[str]:
        return sorted(self.compose("ps", "-q", service).split())

    def predict(self, content: bytes = SEVEN) -> httpx.Response:
        return httpx.post(f"{self.url}/predict", content=content, headers=HEADERS, timeout=30)

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Ask Prometheus for the labels and values of `expression` now."""
        url = f"http://{self.addresses['PROMETHEUS_ADDRESS']}/api/v1/query"
        answer = httpx.get(url, params={"query": expression}, timeout=10).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        return [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]

    def value(self, expression: str) -> float:
        """Ask Prometheus for the one value of `expression`, 0 where it has none."""
        return sum(value for _, value in self.query(expression))


class Load:
    """Clients that ask for one digit after another, and what became of each request."""

    def __init__(self, url: str, verify: ssl.SSLContext | bool = True) -> None:
        self.url, self.verify = url, verify
        self.outcomes: Counter[str] = Counter()
        self._stop = threading.Event()

    def stop(self) -> None:
        self._stop.set()

    def client(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=1)
        with httpx.Client(limits=limits, timeout=30, verify=self.verify) as client:
            while not self._stop.is_set():
                self.outcomes[self._ask(client)] += 1

    def _ask(self, client: httpx.Client) -> str:
        try:
            answer = client.post(f"{self.url}/predict", content=SEVEN, headers=HEADERS)
        except httpx.TransportError as error:
            return f"{type(error).__name__}: {error}"
        if answer.status_code != 200:
            return f"{answer.status_code} {answer.text}"
        return "answered" if answer.json()["digits"] == [7] else f"wrong: {answer.text}"


@contextlib.contextmanager
def load(url: str, clients: int = 4, verify: ssl.SSLContext | bool = True) -> Iterator[Load]:
    """Ask from `clients` threads until the block ends."""
    load = Load(url, verify)
    threads = [threading.Thread(target=load.client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.5)
        yield load
    finally:
        load.stop()
        for thread in threads:
            thread.join()


def inspected(container: str) -> dict:
    return json.loads(docker("inspect", container))[0]
