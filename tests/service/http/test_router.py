"""Which route a path finds, and what it is called in metrics."""

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.http.router import Router


def answer(request: Request) -> Response:
    return Response()


INFER = "/v2/models/{model}/versions/{version}/infer"
ROUTER = Router({path: Route(path, answer) for path in ("/predict", "/v2", INFER, "/v2/models/{model}")})


def scope_of(path: str, method: str = "GET") -> dict:
    return {"type": "http", "path": path, "method": method}


@pytest.mark.parametrize(
    ("path", "template", "parameters"),
    [
        ("/predict", "/predict", None),
        ("/v2/models/digits/versions/7/infer", INFER, {"model": "digits", "version": "7"}),
        ("/v2/models/digits", "/v2/models/{model}", {"model": "digits"}),
    ],
)
def test_a_path_finds_its_route_and_the_parameters_in_it(path: str, template: str, parameters: dict | None) -> None:
    scope = scope_of(path)
    route = ROUTER.find(scope)
    assert route
    assert route.path == template
    assert scope.get("path_params") == parameters


@pytest.mark.parametrize(
    "path", ["/", "/predict/", "/v2/models/", "/v2/models/a/b", "/v2/models/{model}/infer", "//predict", ""]
)
def test_other_paths_find_none(path: str) -> None:
    assert ROUTER.find(scope_of(path)) is None


def test_a_route_is_found_whatever_the_method_so_that_a_wrong_one_can_be_told() -> None:
    assert ROUTER.find(scope_of("/v2/models/digits", "DELETE"))
