"""The directions of the imports, and the facts that must have one home."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from bentoml._internal.bento.build_config import BentoPathSpec
from pathspec import PathSpec

from tests.support.project import ROOT

# What each room may import besides itself. A room is a folder or, beside folders, a module; the longest name counts.
MAY_IMPORT = {
    "models": set(),
    "training": {"models"},
    "service.errors": set(),
    "service.settings": {"models"},
    "service.process": set(),
    "service.observability": {"models", "service.errors"},
    "service.images": {"models", "service.errors", "service.process"},
    "service.inference": {"models", "service.errors", "service.settings", "service.observability", "service.process"},
}
MAY_IMPORT["service.protocols"] = MAY_IMPORT["service.inference"] | {"service.inference", "service.images"}
MAY_IMPORT["service.http"] = MAY_IMPORT["service.protocols"] | {"service.protocols"}
MAY_IMPORT["service.service"] = MAY_IMPORT["service.http"] | {"service.http"}
PROGRAMS = ("models", "training", "service")


def modules(folder: str) -> list[Path]:
    """Return every module below `folder`, however deep."""
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if path.stem != "__init__"]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def room_of(module: str) -> str:
    return max((room for room in MAY_IMPORT if f"{module}.".startswith(f"{room}.")), key=len, default="")


def imports(path: Path) -> Iterator[str]:
    """Yield the name of every module of ours that `path` imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.partition(".")[0] in (*PROGRAMS, "tests", "benchmarks"):
                yield name if (ROOT / name.replace(".", "/")).with_suffix(".py").exists() else name.rpartition(".")[0]


ALL_MODULES = [path for program in PROGRAMS for path in modules(program)]


@pytest.mark.parametrize("path", ALL_MODULES, ids=name_of)
def test_a_module_imports_only_from_rooms_that_its_own_may(path: Path) -> None:
    room = room_of(name_of(path))
    assert room, f"{path} is in no room of the table"
    assert {room_of(name) or name for name in imports(path)} <= MAY_IMPORT[room] | {room}


def test_no_module_comes_back_to_itself_through_its_imports() -> None:
    TopologicalSorter({name_of(path): set(imports(path)) for path in ALL_MODULES}).prepare()


def test_no_test_module_imports_another() -> None:
    # Fixtures need no import, and what several modules call stands in tests/support.
    for path in modules("tests"):
        assert not [name for name in imports(path) if re.search(r"(^|\.)(test_|conftest)", name)], path


def test_every_room_says_what_it_is_for() -> None:
    for folder in {path.parent for path in ALL_MODULES}:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), folder


def test_a_bento_holds_every_file_that_serving_needs() -> None:
    chosen = BentoPathSpec(yaml.safe_load((ROOT / "bentofile.yaml").read_text())["include"], [])
    tracked = subprocess.check_output(["git", "ls-files", "models", "service", ":!*.d.ts"], cwd=ROOT, text=True).splitlines()
    assert "service/web/index.html" in tracked
    assert [path for path in tracked if not chosen.includes(path)] == []
    assert chosen.includes("service/room/room_within/module.py")
    assert not chosen.includes("training/store.py")


def test_an_image_can_be_built_from_every_file_that_it_needs() -> None:
    ignored = PathSpec.from_lines("gitwildmatch", (ROOT / ".dockerignore").read_text().splitlines())
    needed = subprocess.check_output(
        ["git", "ls-files", "requirements", "models", "training", "service", "data/mnist"], cwd=ROOT, text=True
    ).splitlines()
    assert "service/http/app.py" in needed
    assert [path for path in needed if ignored.match_file(path)] == []
    assert ignored.match_file("README.md")


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
