"""The viewer of the API at `/docs`: its files, what they may do, and what it shows where keys are set."""

import subprocess
from pathlib import Path

import httpx
import pytest

from service.http import api_docs
from service.http.openapi import openapi_document
from service.settings import Settings
from tests.support.project import ROOT
from tests.support.serving import Server, serving

PATHS = ["/docs", *(f"/docs/{name}" for name in api_docs.FOLDERS)]


@pytest.mark.parametrize("path", PATHS)
def test_each_file_may_load_nothing_from_elsewhere_and_nothing_inline(server: Server, path: str) -> None:
    answer = httpx.get(f"{server.url}{path}")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; ")
    assert "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" in policy


def test_the_viewer_is_that_of_an_installed_package_and_not_in_the_repository(server: Server) -> None:
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    assert not [path for path in tracked if "swagger" in Path(path).name]
    bundle = httpx.get(f"{server.url}/docs/swagger-ui-bundle.js")
    assert bundle.headers["content-type"].startswith("text/javascript")
    assert bundle.headers["content-encoding"] == "gzip"
    assert bundle.content == (api_docs.FOLDERS["swagger-ui-bundle.js"] / "swagger-ui-bundle.js").read_bytes()


def test_no_other_file_of_the_package_is_served(server: Server) -> None:
    for name in ("index.html", "marked.min.js", "swagger-initializer.js"):
        assert httpx.get(f"{server.url}/docs/{name}").status_code == 404


def test_it_can_be_switched_off(reading_home: Path) -> None:
    with serving(reading_home, API_DOCS="false") as server:
        assert [httpx.get(f"{server.url}{path}").status_code for path in PATHS] == [404] * len(PATHS)
        paths = httpx.get(f"{server.url}/docs.json").json()["paths"]
    assert not [path for path in paths if path.startswith("/docs") and path != "/docs.json"]


def test_the_document_says_which_requests_need_a_key() -> None:
    document = openapi_document(Settings(api_keys=("first-key-0123456789",)))
    assert document["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    assert document["security"] == [{"key": []}]
    is_open = {path for path, operations in document["paths"].items() if operations.get("get", {}).get("security") == []}
    assert is_open == {"/", "/web/{file}", "/docs", "/docs/{file}", "/livez", "/readyz"}
    assert not {"security", "securitySchemes"} & {*openapi_document(Settings()), *openapi_document(Settings())["components"]}


def test_the_example_of_a_body_is_one_that_is_answered(server: Server) -> None:
    document = httpx.get(f"{server.url}/docs.json").json()
    (body,) = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]["examples"]
    assert httpx.post(f"{server.url}/predict", json=body).json()["digits"] == [1]
