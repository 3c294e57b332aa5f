"""The routes beside `POST /predict`, over real HTTP."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from models.card import ModelCard
from service.protocols.media_types import REQUEST_FORMATS
from service.settings import Settings
from tests.support.project import ROOT
from tests.support.serving import Server


def test_model_is_the_card_of_the_served_version(server: Server, version_folder: Path) -> None:
    card = ModelCard.read(version_folder)
    answer = httpx.get(f"{server.url}/model")
    assert ModelCard.model_validate_json(answer.content) == card
    assert answer.headers["x-model-version"] == card.version


@pytest.mark.parametrize("probe", ["livez", "readyz"])
def test_probes_answer_200(server: Server, probe: str) -> None:
    assert httpx.get(f"{server.url}/{probe}").status_code == 200
    assert httpx.head(f"{server.url}/{probe}").status_code == 200


def with_parameters(path: str, operation: dict) -> list[str]:
    """Return `path` with its parameter, where it has one, filled with each value that there is."""
    in_path = [each for each in operation.get("parameters", []) if each["in"] == "path"]
    return [path.format(**{each["name"]: value}) for each in in_path for value in each["schema"]["enum"]] or [path]


def test_the_document_lists_every_route_and_no_other(server: Server) -> None:
    document = httpx.get(f"{server.url}/docs.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for filled in with_parameters(path, operation):
                assert httpx.request(method, f"{server.url}{filled}").status_code != 404, filled
    for path in ("/healthz", "/static_content", "/docs/", "/predict/"):
        assert path not in document["paths"]
        assert httpx.get(f"{server.url}{path}").status_code == 404, path


def described_retries(operation: dict) -> list[str]:
    return [status for status, answer in operation["responses"].items() if "Retry-After" in answer.get("headers", {})]


def test_the_document_says_what_predict_takes_and_answers(server: Server) -> None:
    document = httpx.get(f"{server.url}/docs.json").json()
    predict = document["paths"]["/predict"]["post"]
    assert list(predict["requestBody"]["content"]) == list(REQUEST_FORMATS)
    assert {"200", "400", "408", "413", "415", "429", "504"} <= predict["responses"].keys()
    told = [status for path in document["paths"].values() for each in path.values() for status in described_retries(each)]
    assert sorted(told) == ["429", "503", "503", "504"]
    assert predict["x-limits"] == {"max_body_bytes": Settings().max_body_bytes, "max_images": Settings().max_images}
    answer = httpx.post(f"{server.url}/predict", json=json.loads((ROOT / "examples/seven.json").read_text())).json()
    described = document["components"]["schemas"]["PredictionResponse"]
    assert set(described["required"]) <= answer.keys() <= described["properties"].keys()


def test_the_document_holds_what_bentomls_own_says_of_predict(server: Server, tmp_path: Path) -> None:
    code = "import json; from service.service import DigitClassifier; print(json.dumps(DigitClassifier.openapi_spec.asdict()))"
    home = os.environ | {"BENTOML_HOME": str(tmp_path)}
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=home, text=True)
    theirs = json.loads(printed.splitlines()[-1])["paths"]["/predict"]["post"]
    document = httpx.get(f"{server.url}/docs.json").json()
    ours = document["paths"]["/predict"]["post"]
    answer, described = theirs["responses"]["200"]["content"]["application/json"]["schema"], document["components"]["schemas"]
    assert answer["properties"].keys() == described["PredictionResponse"]["properties"].keys()
    assert answer["required"] == described["PredictionResponse"]["required"]
    assert theirs["requestBody"]["content"].keys() <= ours["requestBody"]["content"].keys()
    # BentoML says 404 of every API; here it is for what is not a route.
    assert theirs["responses"].keys() - {"404"} <= ours["responses"].keys()


def test_bentomls_schema_declares_what_the_service_answers(server: Server) -> None:
    (predict,) = httpx.get(f"{server.url}/schema.json").json()["routes"]
    assert (predict["route"], list(predict["input"]["properties"])) == ("/predict", ["images"])
    document = httpx.get(f"{server.url}/docs.json").json()
    assert (
        predict["output"]["properties"].keys() == document["components"]["schemas"]["PredictionResponse"]["properties"].keys()
    )


def test_the_page_asks_nothing_of_other_hosts(server: Server) -> None:
    page = httpx.get(f"{server.url}/")
    assert page.headers["content-type"].startswith("text/html")
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page.text)
