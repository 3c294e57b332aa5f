"""An alert that fires arrives where Alertmanager is told to send it."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.support.project import ROOT
from tests.support.stack import Stack, docker, inspected
from tests.support.waiting import until

EXAMPLE = ROOT / "deploy/alertmanager/alertmanager.yml"
# Prints each message in one line.
WEBHOOK = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Webhook(BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.path, self.rfile.read(int(self.headers["content-length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
HTTPServer(("", 8080), Webhook).serve_forever()
"""


@pytest.fixture(scope="module")
def alerting(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the stack with the profile `alerts` and the route of the example, all webhooks of which lead to `webhook`."""
    folder = tmp_path_factory.mktemp("alertmanager")
    folder.chmod(0o755)
    (folder / EXAMPLE.name).write_text(re.sub(r"https://\w+\.example\.com", "http://webhook:8080", EXAMPLE.read_text()))
    stack.environment["ALERTMANAGER_FOLDER"] = str(folder)
    stack.compose("--profile", "alerts", "up", "-d", "--no-deps", "--wait", "alertmanager")
    stack.compose("restart", "prometheus")  # it tells at once, and else once a minute
    yield stack
    stack.compose("--profile", "alerts", "rm", "-fsv", "alertmanager")


@pytest.fixture(scope="module")
def webhook(alerting: Stack) -> Iterator[str]:
    (network,) = inspected(alerting.compose("--profile", "alerts", "ps", "-q", "alertmanager"))["NetworkSettings"]["Networks"]
    python = ("--entrypoint", "python", "digit-classifier-serve", "-c", WEBHOOK)
    container = docker("run", "-d", "--network", network, "--network-alias", "webhook", *python)
    yield container
    docker("rm", "-f", container)


def messages(webhook: str) -> list[tuple[str, dict]]:
    lines = [line.partition(" ") for line in docker("logs", webhook).splitlines() if line.startswith("/")]
    return [(path, json.loads(body)) for path, _, body in lines]


def test_the_dead_mans_switch_arrives_at_its_own_receiver(webhook: str) -> None:
    until(lambda: messages(webhook), 60, "the first message")
    path, message = messages(webhook)[0]
    assert path == "/digit-classifier"
    assert [alert["labels"]["alertname"] for alert in message["alerts"]] == ["Watchdog"]
    assert message["alerts"][0]["annotations"]["runbook"] == "docs/runbook/Watchdog.md"


@pytest.mark.parametrize(("severity", "receiver"), [("page", "page"), ("ticket", "ticket")])
def test_an_alert_goes_to_the_receiver_of_its_severity(alerting: Stack, severity: str, receiver: str) -> None:
    routed = ("amtool", "config", "routes", "test", "--config.file=/etc/alertmanager/alertmanager.yml")
    said = alerting.compose("--profile", "alerts", "exec", "-T", "alertmanager", *routed, f"severity={severity}")
    assert said.splitlines()[-1] == receiver
