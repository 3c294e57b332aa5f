"""ApiKeyAuth, and what else protects the service from clients that nobody knows."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.errors import ApiError
from service.http.auth import ApiKeyAuth
from service.settings import Settings
from tests.support.project import ABOUT_MODELS, SEVEN
from tests.support.raw_http import Connection
from tests.support.serving import Server, serving

KEYS = "first-key-0123456789", "second-key-987654321"
ORIGIN = "https://page.example"
BEHIND_THE_KEY = [*ABOUT_MODELS, "/docs.json", "/schema.json", "/metrics", "/elsewhere"]
FILES_OF_PAGES = ["/", "/web/app.js", "/web/style.css", "/docs", "/docs/docs.js", "/docs/swagger-ui.css"]


HOW_TO = "send the header Authorization: Bearer <key>, with a key from whoever runs this service."


def refusal(
    auth: ApiKeyAuth, authorization: str | None = None, route: str | None = "/predict", method: str = "GET"
) -> ApiError | None:
    """Return what `auth` raises, or None where it lets the request pass."""
    headers = [(b"host", b"x"), *([(b"authorization", authorization.encode())] if authorization is not None else [])]
    try:
        auth.check(route, method, [*headers, (b"accept", b"*/*")])
    except ApiError as error:
        return error
    return None


@pytest.mark.parametrize("authorization", [f"Bearer {KEYS[0]}", f"Bearer {KEYS[1]}", f"bEARER   {KEYS[1]} "])
def test_each_key_is_accepted_whatever_the_case_of_the_scheme_and_the_blanks(authorization: str) -> None:
    assert refusal(ApiKeyAuth(KEYS, public_metrics=False), authorization) is None


@pytest.mark.parametrize("authorization", [None, "", KEYS[0], f"Basic {KEYS[0]}", f"XX{KEYS[0]} {KEYS[0]}"])
def test_a_request_without_a_bearer_key_is_told_that_it_has_none(authorization: str | None) -> None:
    error = refusal(ApiKeyAuth(KEYS, public_metrics=False), authorization)
    assert error
    assert (error.status, error.reason, str(error)) == (401, "unauthenticated", f"the request has no key; {HOW_TO}")
    assert error.headers == {"WWW-Authenticate": 'Bearer realm="digit-classifier"'}


@pytest.mark.parametrize("key", ["", "wrong", KEYS[0][:-1], f"{KEYS[0]}x", f"{KEYS[0]} {KEYS[1]}", KEYS[0].upper()])
def test_a_request_with_another_key_is_told_that_it_is_none_of_those(key: str) -> None:
    error = refusal(ApiKeyAuth(KEYS, public_metrics=False), f"Bearer {key}")
    assert error
    assert error.status == 401
    assert str(error).endswith(f"; {HOW_TO}")
    assert str(error).startswith("the key is not one of those ")


@pytest.mark.parametrize("public_metrics", [False, True])
@pytest.mark.parametrize(
    "route", ["/livezx", "/livez/", "/readyz2", "/readyz/livez", "/metrics/", "/metricsx", "/LIVEZ", "/docs/", None]
)
def test_a_route_that_only_begins_like_an_open_one_needs_a_key(route: str | None, public_metrics: bool) -> None:
    assert refusal(ApiKeyAuth(KEYS, public_metrics), route=route)


def test_probes_are_open_and_metrics_where_they_are_public() -> None:
    for public_metrics in (False, True):
        auth = ApiKeyAuth(KEYS, public_metrics)
        is_open = {route: refusal(auth, route=route) is None for route in ("/livez", "/readyz", "/metrics", "/predict")}
        assert is_open == {"/livez": True, "/readyz": True, "/metrics": public_metrics, "/predict": False}


@pytest.mark.parametrize("route", ["/", "/web/{file}", "/docs", "/docs/{file}", "/livez"])
def test_open_routes_are_open_for_reading_alone(route: str) -> None:
    auth = ApiKeyAuth(KEYS, public_metrics=False)
    methods = {method: refusal(auth, route=route, method=method) is None for method in ("GET", "HEAD", "POST", "PUT", "get")}
    assert methods == {"GET": True, "HEAD": True, "POST": False, "PUT": False, "get": False}


def test_without_keys_everything_is_open() -> None:
    assert refusal(ApiKeyAuth((), public_metrics=False)) is None


@pytest.fixture(scope="module")
def guarded(reading_home: Path) -> Iterator[Server]:
    with serving(reading_home, API_KEYS=",".join(KEYS), CORS_ORIGINS=ORIGIN) as server:
        yield server


def get(server: Server, path: str, authorization: str | None = None) -> httpx.Response:
    return httpx.get(f"{server.url}{path}", headers={"authorization": authorization} if authorization else {})


@pytest.mark.parametrize("path", BEHIND_THE_KEY)
@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer", "Bearer wrong", f"Basic {KEYS[0]}", f"Bearer {KEYS[0]}x", f"Bearer {KEYS[0][:-1]}", KEYS[0]],
)
def test_without_a_key_that_is_known_it_is_a_401(guarded: Server, path: str, authorization: str | None) -> None:
    answer = get(guarded, path, authorization)
    assert (answer.status_code, list(answer.json())) == (401, ["error"])
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "send the header Authorization: Bearer <key>" in answer.json()["error"]


def test_predict_takes_any_of_the_keys_and_nothing_else(guarded: Server) -> None:
    keys = (KEYS[0], KEYS[1], ",".join(KEYS), "wrong")
    assert [guarded.predict(SEVEN, authorization=f"Bearer {key}").status_code for key in keys] == [200, 200, 401, 401]
    assert guarded.predict(SEVEN).status_code == 401


@pytest.mark.parametrize("path", [each for each in BEHIND_THE_KEY if each != "/elsewhere"])
def test_with_a_key_all_is_as_it_was(guarded: Server, path: str) -> None:
    assert get(guarded, path, f"bearer {KEYS[1]}").status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", *FILES_OF_PAGES])
def test_probes_and_files_of_pages_need_no_key(guarded: Server, path: str) -> None:
    assert get(guarded, path).status_code == 200
    assert httpx.head(f"{guarded.url}{path}").status_code == 200
    assert httpx.post(f"{guarded.url}{path}").status_code == 401


@pytest.mark.parametrize("up", ["..", "%2e%2e", "%2E.", "..%2f", "./..", "app.js/..", "%2e%2e%2f%2e%2e"])
@pytest.mark.parametrize("folder", ["web", "docs"])
@pytest.mark.parametrize("path", ["model", "docs.json", "metrics"])
def test_no_path_through_a_folder_of_files_leads_past_the_key(guarded: Server, folder: str, up: str, path: str) -> None:
    with Connection(guarded.address) as connection:  # sent as it stands: clients resolve the dots
        answer = connection.ask(f"GET /{folder}/{up}/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.status == 401


def test_pages_of_a_named_origin_may_read_what_answers_say_in_headers(guarded: Server) -> None:
    answer = httpx.get(f"{guarded.url}/model", headers={"origin": ORIGIN, "authorization": f"Bearer {KEYS[0]}"})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-expose-headers"] == "X-Model-Version, X-Instance, Server-Timing, Retry-After"


def test_metrics_can_be_opened(home) -> None:
    with serving(home, API_KEYS=KEYS[0], PUBLIC_METRICS="true") as server:
        assert (get(server, "/metrics").status_code, get(server, "/model").status_code) == (200, 401)


@pytest.mark.parametrize("keys", ["short", f"{KEYS[0]},", "sixteen characters with blanks"])
def test_a_bad_key_stops_the_start_and_is_not_shown(keys: str) -> None:
    with pytest.raises(ValueError, match=r"API_KEYS=…: each key needs at least 16 ASCII characters and no spaces") as error:
        Settings.from_environment({"API_KEYS": keys})
    assert keys not in str(error.value)
    assert KEYS[0] not in repr(Settings(api_keys=KEYS))


def test_no_key_is_in_the_log(guarded: Server) -> None:
    assert not [key for key in KEYS if key in guarded.log.read_text()]


def test_the_page_says_what_it_may_do(server: Server) -> None:
    headers = httpx.get(f"{server.url}/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


def test_other_origins_are_allowed_only_where_they_are_named(server: Server) -> None:
    answer = httpx.get(f"{server.url}/model", headers={"origin": "https://elsewhere.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "body",
    [gzip.compress(SEVEN), gzip.compress(SEVEN + b" " * 2**28), os.urandom(100)],
    ids=["a normal body", "a bomb of 256 MiB", "noise"],
)
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, identity"])
def test_a_coded_body_is_a_415_unread(server: Server, body: bytes, coding: str) -> None:
    before = server.peak_kib()
    answer = server.predict(body, content_encoding=coding)
    assert answer.status_code == 415
    assert f"Content-Encoding is {coding}; send the body as it is" in answer.json()["error"]
    assert server.peak_kib() - before < 8 * 1024


def test_a_body_said_to_be_as_it_is_is_read(server: Server) -> None:
    assert server.predict(SEVEN, content_encoding="Identity").status_code == 200
