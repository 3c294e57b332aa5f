"""API keys in a mounted folder: seen by the service, exchanged while it runs, and not shown by `docker inspect`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import Stack, docker
from tests.support.waiting import until

OLD, NEW = "old-key-0123456789", "new-key-0123456789"
STATUS = """
import sys, urllib.error, urllib.request
request = urllib.request.Request("http://127.0.0.1:3000/model", headers={"authorization": f"Bearer {sys.argv[1]}"})
try:
    print(urllib.request.urlopen(request, timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError:
    print("not yet")
"""


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    (tmp_path / "api-keys").write_text(OLD)
    return tmp_path


@pytest.fixture
def guarded(stack: Stack, keys: Path) -> Iterator[str]:
    """Return a container of the service that has its keys from the folder."""
    with stack.another("service", KEYS_FOLDER=str(keys), API_KEYS_FILE="secrets/keys/api-keys") as container:
        yield container


def status(container: str, key: str) -> str:
    return docker("exec", container, "python", "-c", STATUS, key)


def test_keys_in_a_file_are_exchanged_without_a_restart_and_nowhere_in_inspect(guarded: str, keys: Path) -> None:
    until(lambda: status(guarded, OLD) == "200", 90, "the key of the file is accepted")
    (keys / "new").write_text(NEW)
    (keys / "new").replace(keys / "api-keys")
    until(lambda: status(guarded, NEW) == "200", 10, "the new key is accepted")
    assert status(guarded, OLD) == "401"
    inspected = docker("inspect", guarded)
    assert json.loads(inspected)[0]["RestartCount"] == 0
    assert not [key for key in (OLD, NEW) if key in inspected]
