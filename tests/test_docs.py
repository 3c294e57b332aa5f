"""The documents against the code: tables, the map, links, names of tests, commands that there are."""

import re
from pathlib import Path
from typing import get_args

import pytest

from service.errors import LoadFailure, Reason
from service.http.openapi import openapi_document
from service.observability import metrics
from service.settings import RENAMED, Settings
from tests.support.documents import DOCUMENTS, anchors, links, mapped, prose, quoted, rows, section
from tests.support.project import ROOT
from tests.support.rules import ALERTS

TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in DOCUMENTS}
EVERYTHING = "\n".join(TEXTS.values())
# No path of the OpenAPI document can have these: the method is none of its own, or no path is known yet.
STATUSES_OF_NO_PATH = {405, 431}


def test_the_readme_is_a_first_screen() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 150


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_to_one_of_its_headings(path: Path) -> None:
    for target in links(path):
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_every_document_can_be_reached_from_the_readme() -> None:
    found, unread = set(), [ROOT / "README.md"]
    while unread:
        path = unread.pop()
        found.add(path)
        linked = {(path.parent / target.partition("#")[0]).resolve() for target in links(path)}
        unread += [each for each in linked - found if each in DOCUMENTS]
    assert found == set(DOCUMENTS)


def test_every_file_that_is_named_is_there() -> None:
    named = {name for path in DOCUMENTS for name in quoted(prose(path)) if re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", name)}
    folders = (
        "benchmarks/",
        "data/",
        "deploy/",
        "docs/",
        "examples/",
        "models/",
        "requirements/",
        "service/",
        "tests/",
        "training/",
    )
    ours = {name for name in named if name.startswith(folders)}
    assert ours
    assert [name for name in sorted(ours) if not (ROOT / name).exists()] == []


def test_every_make_target_that_is_named_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|time )make ([a-z-]+)", EVERYTHING, re.MULTILINE))
    assert named
    assert named <= targets


def test_every_command_that_shows_a_figure_selects_a_test() -> None:
    tests = " ".join(
        name for path in ROOT.glob("tests/**/test_*.py") for name in re.findall(r"def (test_\w+)|$", path.read_text())
    )
    words = set(re.findall(r"-k (\w+)", EVERYTHING)) - {"word"}
    assert words
    assert [word for word in sorted(words) if word not in tests] == []


def test_the_settings_and_their_defaults_are_the_codes() -> None:
    shown = {name.strip("`"): default.strip("`") for name, default, _ in rows(section("docs/configuration.md", "## Settings"))}
    assert shown == {name.upper(): as_set(value) for name, value in Settings().model_dump().items()}


def as_set(value: object) -> str:
    """Return `value` as it would be written into the environment."""
    return "" if value in ((), None) else str(value).lower()


def test_every_renamed_setting_is_in_the_changelog() -> None:
    shown = {old.strip("`"): new.strip("`") for old, new in rows(section("CHANGELOG.md", "### Renamed settings"))}
    assert shown == RENAMED


def test_the_reasons_are_the_codes() -> None:
    errors = [name for cells in rows(section("docs/metrics.md", "## Reasons of errors")) for name in quoted(cells[0])]
    assert sorted(errors) == sorted(get_args(Reason))
    failures = [name for cells in rows(section("docs/metrics.md", "## Reasons of load failures")) for name in quoted(cells[0])]
    assert sorted(failures) == sorted(get_args(LoadFailure))


def test_the_metrics_their_types_and_labels_are_the_codes() -> None:
    metrics.start(())
    names = {"counter": "{}_total"}
    coded = {
        names.get(each.type, "{}").format(each.name): (each.type, sorted(vars(each)["_labelnames"]))
        for each in metrics.TABLE.collect()
    }
    tables = [cells for cells in rows((ROOT / "docs/metrics.md").read_text()) if cells[0].startswith("`digit_classifier_")]
    assert {quoted(name)[0]: (kind, sorted(quoted(labels))) for name, kind, labels, _ in tables} == coded
    assert len(tables) == len(coded)


def test_every_error_status_is_one_of_the_openapi_document_and_the_other_way_round() -> None:
    of_predict, of_every_path = (
        {int(cells[0]) for cells in rows(part)}
        for part in section("docs/api.md", "## Errors").split("Every path can also answer")
    )
    paths = openapi_document(Settings())["paths"]
    documented = {int(status) for path in paths.values() for operation in path.values() for status in operation["responses"]}
    assert of_predict <= {int(status) for status in paths["/predict"]["post"]["responses"]}
    assert of_predict | of_every_path | {200, 304} >= documented
    assert of_every_path <= documented | STATUSES_OF_NO_PATH


def test_every_path_of_the_openapi_document_is_described() -> None:
    described = {path for cells in rows(section("docs/api.md", "## Other endpoints")) for path in quoted(cells[0])}
    paths = set(openapi_document(Settings())["paths"]) - {"/predict", "/web/{file}"}
    assert described == paths


def test_every_promise_names_a_test() -> None:
    promises = rows(section("docs/reliability.md", "## Promises"))
    assert len(promises) > 25
    for promise, _, tests in promises:
        assert re.search(r"\]\(\.\./tests/(\w+/)*test_\w+\.py\)", tests), promise


def test_the_alerts_are_those_of_the_rules() -> None:
    listed = [(quoted(cells[0])[0], cells[1]) for cells in rows(section("docs/operations.md", "### Each alert"))]
    assert sorted(listed) == sorted({(rule["alert"], rule["labels"]["severity"]) for rule in ALERTS})


def test_the_map_names_every_module_and_no_other() -> None:
    named = [path for path in mapped(section("docs/architecture.md", "## Modules")) if path.endswith(".py")]
    modules = [path for program in ("models", "training", "service") for path in (ROOT / program).rglob("[!_]*.py")]
    assert sorted(named) == sorted(path.relative_to(ROOT).as_posix() for path in modules)


def test_the_readmes_map_names_every_room() -> None:
    named = list(mapped(section("README.md", "## The map")))
    packages = {path.parent for program in ("models", "training", "service") for path in (ROOT / program).rglob("__init__.py")}
    assert {f"{path.relative_to(ROOT).as_posix()}/" for path in packages} <= set(named)
    assert [path for path in named if not (ROOT / path).is_dir()] == []


def test_the_version_is_the_newest_of_the_changelog() -> None:
    (version,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert re.findall(r"^## (\d+\.\d+\.\d+)", TEXTS["CHANGELOG.md"], re.MULTILINE)[0] == version
