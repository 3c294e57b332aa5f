"""Alertmanager beside a stack, and a container to which the webhooks of its example lead."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.project import ROOT
from tests.support.stack import Stack, docker, inspected

EXAMPLE = ROOT / "deploy/alertmanager/alertmanager.yml"
Messages = list[tuple[str, dict]]
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


@contextlib.contextmanager
def alerting(stack: Stack, folder: Path) -> Iterator[Callable[[], Messages]]:
    """Start Alertmanager with its example, copied to `folder`; yield what returns paths and bodies of all messages so far."""
    folder.chmod(0o755)
    (folder / EXAMPLE.name).write_text(re.sub(r"https://\w+\.example\.com", "http://webhook:8080", EXAMPLE.read_text()))
    stack.environment["ALERTMANAGER_FOLDER"] = str(folder)
    stack.compose("--profile", "alerts", "up", "-d", "--no-deps", "alertmanager")
    container = stack.compose("--profile", "alerts", "ps", "-q", "alertmanager")
    (network,) = inspected(container)["NetworkSettings"]["Networks"]
    python = ("--entrypoint", "python", "digit-classifier-serve", "-c", WEBHOOK)
    webhook = docker("run", "-d", "--network", network, "--network-alias", "webhook", *python)
    try:
        yield lambda: messages_of(webhook)
    finally:
        docker("rm", "-f", webhook)
        stack.compose("--profile", "alerts", "rm", "-fsv", "alertmanager")


def messages_of(webhook: str) -> Messages:
    lines = [line.partition(" ") for line in docker("logs", webhook).splitlines() if line.startswith("/")]
    return [(path, json.loads(body)) for path, _, body in lines]
