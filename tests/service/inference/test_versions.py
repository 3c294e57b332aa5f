"""`GET /model/versions`, over real HTTP: what the store holds, whatever state its folders are in."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.card import CARD_FILE, ModelCard
from models.digits import MODEL_NAME
from service.inference.model_loading import load_model
from service.inference.versions import MAX_LISTED, list_versions
from tests.support.metrics import scrape, value
from tests.support.serving import Server, serving
from tests.support.store import LATEST, SCHEMA_1, SCHEMA_2, copy_version

DAMAGE = {
    "no card": lambda card: card.unlink(),
    "not JSON": lambda card: card.write_bytes(b"\xff{"),
    "not a card": lambda card: card.write_text('{"schema_version": 3}'),
    "of a newer schema": lambda card: card.write_text('{"schema_version": 4}'),
    "of another version": lambda card: card.write_text((card.parent.parent / "xxckq6xi4ka7cax4" / CARD_FILE).read_text()),
    "without a recipe": lambda card: card.write_text(json.dumps(json.loads(card.read_text()) | {"recipe": {}})),
    "of no time zone": lambda card: card.write_text(
        json.dumps(json.loads(card.read_text()) | {"created": "0001-01-01T00:00:00"})
    ),
    "a folder": lambda card: (card.unlink(), card.mkdir()),
}


@pytest.fixture(scope="module")
def versions(published_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the versions of a home of this module: the published one, two of older schemas, and damaged ones."""
    folder = tmp_path_factory.mktemp("versions") / "models" / MODEL_NAME
    shutil.copytree(published_home / "models" / MODEL_NAME, folder)
    for older in (SCHEMA_1, SCHEMA_2):
        shutil.copytree(older, folder / older.name)
    for number, damage in enumerate(DAMAGE.values()):
        damage(copy_version(folder, SCHEMA_2.name, f"damaged{number:09}") / CARD_FILE)
    return folder


@pytest.fixture(scope="module")
def server(versions: Path) -> Iterator[Server]:
    with serving(versions.parent.parent) as running:
        yield running


def test_whole_versions_are_listed_the_newest_first_and_broken_ones_are_left_out(server: Server, versions: Path) -> None:
    served = (versions / "latest").read_text()
    answer = httpx.get(f"{server.url}/model/versions").json()
    assert answer["served"] == served
    assert [each["version"] for each in answer["versions"]] == [served, SCHEMA_2.name, SCHEMA_1.name]
    assert [each["served"] for each in answer["versions"]] == [True, False, False]


def test_of_each_its_card_is_shown_in_short_with_null_for_what_is_not_known(server: Server, versions: Path) -> None:
    newest, *older = httpx.get(f"{server.url}/model/versions").json()["versions"]
    card = ModelCard.read(versions / newest["version"])
    assert card.acceptance
    assert newest == {
        "version": card.version,
        "created_at": card.created.isoformat(),
        "recipe": "baseline",
        "architecture": "softmax",
        "test_accuracy": card.test.accuracy,
        "coverage": card.acceptance.test.coverage,
        "served": True,
    }
    assert [each["coverage"] for each in older] == [None, None]


def test_it_is_one_route_in_the_metrics_and_one_schema_in_the_document(server: Server) -> None:
    answer = httpx.get(f"{server.url}/model/versions").json()
    assert value(scrape(server), "requests_total", route="/model/versions", status="200") > 0
    document = httpx.get(f"{server.url}/docs.json").json()
    described = document["components"]["schemas"]["VersionSummary"]["properties"]
    assert [list(each) for each in answer["versions"]] == [list(described)] * len(answer["versions"])


def test_what_changes_in_the_store_is_in_the_next_answer(server: Server, versions: Path) -> None:
    def listed() -> set[str]:
        return {each["version"] for each in httpx.get(f"{server.url}/model/versions").json()["versions"]}

    before = listed()
    added = copy_version(versions, SCHEMA_1.name, "added00000000000")
    assert listed() == before | {added.name}
    (added / CARD_FILE).write_text("changed")
    assert listed() == before
    shutil.rmtree(added)
    assert listed() == before


def test_at_most_fifty_are_listed_and_the_served_one_is_among_them_though_its_folder_is_gone(published_store: Path) -> None:
    served = load_model(LATEST, "cpu")
    for number in range(MAX_LISTED + 10):
        folder = published_store / f"copy{number:012}"
        folder.mkdir()
        text = (served.folder / CARD_FILE).read_text().replace(served.card.version, folder.name)
        (folder / CARD_FILE).write_text(text)
        os.utime(folder / CARD_FILE, (1_000 + number, 1_000 + number))
    shutil.rmtree(served.folder)
    listed = list_versions(served)
    assert len(listed.versions) == MAX_LISTED
    assert [each.version for each in listed.versions if each.served] == [listed.served] == [served.card.version]
    assert {each.version for each in listed.versions} == {listed.served, *(f"copy{number:012}" for number in range(11, 60))}


def test_broken_cards_that_are_newer_take_no_place_of_whole_ones(published_store: Path) -> None:
    served = load_model(LATEST, "cpu")
    shutil.copytree(SCHEMA_1, published_store / SCHEMA_1.name)
    for number in range(MAX_LISTED):
        (published_store / f"broken{number:010}").mkdir()
        (published_store / f"broken{number:010}" / CARD_FILE).write_text("broken")
    assert {each.version for each in list_versions(served).versions} == {served.card.version, SCHEMA_1.name}
