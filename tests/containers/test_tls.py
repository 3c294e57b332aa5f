"""HTTPS with a certificate from a mounted folder: handshake, redirect, renewal under load."""

import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.support.serving import free_port
from tests.support.stack import BASE_IMAGE, HEADERS, SEVEN, Stack, docker, inspected, load
from tests.support.waiting import until

MAKE = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=digits -keyout - -out -"


class Site(NamedTuple):
    """A proxy that has a certificate: its container, its ports, and the file on the host."""

    container: str
    http_port: int
    https_port: int
    certificate: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.https_port}"


def certificate() -> str:
    """Return a new self-signed certificate for 127.0.0.1 and its key, as PEM."""
    return docker("run", "--rm", BASE_IMAGE, "openssl", *MAKE.split(), "-addext", "subjectAltName=IP:127.0.0.1") + "\n"


def trusting(*certificates: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata="\n".join(certificates))


@pytest.fixture(scope="module")
def site(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("tls")
    folder.chmod(0o755)
    (folder / "site.pem").write_text(certificate())
    http, https = free_port(), free_port()
    ports = ("-p", f"127.0.0.1:{http}:3000", "-p", f"127.0.0.1:{https}:3443")
    settings = {"TLS_FOLDER": str(folder), "TLS_CERTIFICATE": "secrets/tls/site.pem", "TLS_ADDRESS": f"127.0.0.1:{https}"}
    with stack.another("proxy", *ports, **settings) as container:
        site = Site(container, http, https, folder / "site.pem")
        until(lambda: is_ready(site), 20, "the proxy has found a replica")
        yield site


def is_ready(site: Site) -> bool:
    try:
        return httpx.get(f"{site.url}/readyz", verify=trusting(site.certificate.read_text())).status_code == 200
    except httpx.TransportError:
        return False


def log_of(container: str) -> str:
    return subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True).stderr


def handed_out(site: Site) -> str:
    return ssl.get_server_certificate(("127.0.0.1", site.https_port)).strip()


def test_a_prediction_comes_over_a_connection_that_a_client_can_trust(site: Site) -> None:
    answer = httpx.post(f"{site.url}/predict", content=SEVEN, headers=HEADERS, verify=trusting(site.certificate.read_text()))
    assert answer.json()["digits"] == [7]


def test_http_is_redirected_with_path_query_method_and_body(site: Site) -> None:
    plain = f"http://127.0.0.1:{site.http_port}/predict?seen=true"
    assert httpx.post(plain, content=SEVEN, headers=HEADERS).headers["location"] == f"{site.url}/predict?seen=true"
    verify = trusting(site.certificate.read_text())
    assert httpx.post(plain, content=SEVEN, headers=HEADERS, follow_redirects=True, verify=verify).json()["seen"]


def test_the_port_for_the_probe_is_not_redirected_and_not_published(site: Site) -> None:
    ask = "exec 3<>/dev/tcp/127.0.0.1/3001 && printf 'GET /livez HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3"
    assert " 200 " in docker("exec", site.container, "bash", "-c", ask)
    assert "3001/tcp" not in docker("port", site.container)


def replace_certificate(site: Site, content: str) -> None:
    # HAProxy loses a signal that arrives while it still takes over what an earlier one told it to.
    until(lambda: log_of(site.container).count("Reloading") == log_of(site.container).count("Former worker"), 30, "it is done")
    new = site.certificate.with_suffix(".new")
    new.write_text(content)
    new.replace(site.certificate)
    docker("kill", "-s", "USR2", site.container)


def test_a_renewed_certificate_is_taken_over_without_losing_a_request(site: Site, figures: dict[str, str]) -> None:
    old, new = site.certificate.read_text(), certificate()
    began = inspected(site.container)["State"]["StartedAt"]
    with load(site.url, clients=8, verify=trusting(old, new)) as asked:
        replace_certificate(site, new)
        until(lambda: handed_out(site) in new, 20, "the new certificate is handed out")
        time.sleep(2)
    figures["requests while the certificate was renewed, and what became of them"] = str(dict(asked.outcomes))
    assert set(asked.outcomes) == {"answered"}
    assert inspected(site.container)["State"]["StartedAt"] == began


def test_a_connection_that_is_idle_while_the_certificate_is_renewed_is_answered_once_more(site: Site) -> None:
    old, new = site.certificate.read_text(), certificate()
    with closing(HTTPSConnection("127.0.0.1", site.https_port, context=trusting(old))) as connection:
        assert asked_on(connection).headers["connection"] is None
        replace_certificate(site, new)
        until(lambda: handed_out(site) in new, 20, "the new certificate is handed out")
        assert asked_on(connection).headers["connection"] == "close"


def asked_on(connection: HTTPSConnection) -> HTTPResponse:
    connection.request("GET", "/livez")
    answer = connection.getresponse()
    assert answer.read()
    assert answer.status == 200
    return answer


def test_a_broken_certificate_leaves_the_one_that_is_there(site: Site) -> None:
    whole = site.certificate.read_text()
    before = handed_out(site)
    replace_certificate(site, whole[:200])
    until(lambda: "unable to load" in log_of(site.container), 20, "the proxy says what is wrong")
    assert handed_out(site) == before
    site.certificate.write_text(whole)
