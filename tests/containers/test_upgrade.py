"""What else an upgrade meets: a training that fails, files that have changed, more replicas than usual."""

import shutil
from pathlib import Path

import httpx
import pytest

from tests.support.mounted import write_labels
from tests.support.project import ROOT
from tests.support.stack import Stack, answers_seven, docker
from tests.support.waiting import until

# Of the training, an error; of the service, reason for a new container.
BAD_RECIPE = {"RECIPE": "nonsense", "MAX_IMAGES": "1000"}
METRICS = "exec 3<>/dev/tcp/127.0.0.1/8404 && printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"


def test_a_training_that_fails_does_not_keep_a_published_version_from_being_served(stack: Stack) -> None:
    before = stack.containers("service")
    settings = stack.environment
    stack.environment = settings | BAD_RECIPE
    try:
        stack.compose("up", "-d", "service")
        until(lambda: answers_seven(stack.url), 60, "the new replica answers")
        assert stack.containers("service") != before
    finally:
        stack.environment = settings
        stack.up(1)


def test_a_training_that_fails_with_nothing_to_serve_ends_the_start_and_says_why(images: None) -> None:
    stack = Stack("digits-untrained")
    stack.environment |= BAD_RECIPE
    try:
        with pytest.raises(AssertionError, match=r"train.*exit 2"):
            stack.compose("up", "--wait", "--wait-timeout", "60", "train", "service")
        assert "nonsense" in stack.compose("logs", "train")
    finally:
        stack.compose("down", "-v", "--timeout", "1")


def test_a_changed_file_recreates_the_container_that_mounts_it_and_no_other(images: None, tmp_path: Path) -> None:
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    stack = Stack("digits-changed")
    stack.environment["MAX_REPLICAS"] = "40"

    def up() -> dict[str, list[str]]:
        here = ("-f", f"{tmp_path}/docker-compose.yml")
        stack.compose(*here, "up", "-d", "--wait", "--no-deps", "proxy", "prometheus")
        return {name: stack.containers(name) for name in ("proxy", "prometheus")}

    try:
        before = up()
        assert up() == before
        config = tmp_path / "deploy/proxy/haproxy.cfg"
        config.write_text(config.read_text().replace("no replica is ready", "nobody is ready"))
        write_labels(tmp_path)
        after = up()
        assert after["proxy"] != before["proxy"]
        assert after["prometheus"] == before["prometheus"]
        assert "nobody is ready" in httpx.post(f"{stack.url}/predict").text
        assert 'server="replica40"' in docker("exec", *after["proxy"], "bash", "-c", METRICS)
    finally:
        stack.compose("down", "-v", "--timeout", "1")
