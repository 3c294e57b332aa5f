"""The directions of the imports, and the facts that must have one home."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from bentoml._internal.bento.build_config import BentoPathSpec

from tests.conftest import ROOT

# Left to right as data flows; a module imports only from its left.
ORDER = {
    "models": ["digits", "perceptron", "softmax", "card", "exported"],
    "training": [
        "interruption",
        "output",
        "data",
        "recipes",
        "gates",
        "fit",
        "tutorial",
        "evaluate",
        "report",
        "store",
        "publish",
        "commands",
        "__main__",
    ],
    "service": [
        "settings",
        "logs",
        "memory",
        "open_files",
        "refusals",
        "metrics",
        "exchange",
        "engine",
        "catalog",
        "batcher",
        "picture_files",
        "pictures",
        "json_strict",
        "json_images",
        "wire",
        "answers",
        "intake",
        "slow_lane",
        "endpoint",
        "pages",
        "openapi",
        "drain",
        "listening",
        "keys",
        "door",
        "service",
    ],
}
MAY_IMPORT = {"models": {"models"}, "training": {"models", "training"}, "service": {"models", "service"}}


def modules(room: str) -> list[Path]:
    """Return every module below `room`, however deep."""
    return [path for path in sorted((ROOT / room).rglob("*.py")) if path.stem != "__init__"]


def name_in(room: str, path: Path) -> str:
    """Return the dotted name of the module at `path`, without that of its room."""
    return ".".join(path.relative_to(ROOT / room).with_suffix("").parts)


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (room, module) of every import of ours in `path`, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            room, _, module = node.module.partition(".")
            yield from [(room, module)] if module else [(room, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from [(room, module) for room, _, module in (alias.name.partition(".") for alias in node.names)]


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    for path in modules(room):
        assert {other for other, _ in imports(path) if other in ORDER} <= MAY_IMPORT[room], path


@pytest.mark.parametrize("room", ORDER)
def test_a_module_imports_only_from_its_left(room: str) -> None:
    assert {name_in(room, path) for path in modules(room)} == set(ORDER[room])
    for path in modules(room):
        left = ORDER[room][: ORDER[room].index(name_in(room, path))]
        assert {module for other, module in imports(path) if other == room} <= set(left), path


def test_a_bento_holds_every_file_that_serving_needs() -> None:
    chosen = BentoPathSpec(yaml.safe_load((ROOT / "bentofile.yaml").read_text())["include"], [])
    tracked = subprocess.check_output(["git", "ls-files", "models", "service"], cwd=ROOT, text=True).splitlines()
    assert "service/web/index.html" in tracked
    assert [path for path in tracked if not chosen.includes(path)] == []
    assert chosen.includes("service/room/room_within/module.py")
    assert not chosen.includes("training/store.py")


def test_no_lock_file_names_an_index() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "--hash=sha256:" in text
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text), path


def test_serving_needs_no_tensorflow() -> None:
    packages = re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/serve.txt").read_text(), re.MULTILINE)
    assert {"bentoml", "ai-edge-litert"} <= set(packages)
    assert not {"tensorflow", "keras", "matplotlib"} & set(packages)


def test_importing_a_room_does_nothing_heavy() -> None:
    # The process that supervises the workers imports the service, too.
    heavy = ("tensorflow", "keras", "ai_edge_litert")
    code = f"import sys, service.service; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"


# It jumps, and limits, deadlines and durations would jump with it.
WALL_CLOCK = re.compile(r"\btime\.(time|time_ns|localtime|gmtime|ctime|strftime)\b|\bfrom time import\b|\bdatetime\b")


def test_the_service_reads_no_wall_clock() -> None:
    assert WALL_CLOCK.search("deadline = time.time() + 10")
    for path in modules("service"):
        assert not WALL_CLOCK.search(path.read_text()), path
