"""Whatever strangers send, over real sockets: the worker lives, answers in time, in documented ways, and stays right."""

import io
import itertools
import json
import multiprocessing
import os
import random
import subprocess
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import unquote

import httpx
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from PIL import Image

from service.http.connections import MAX_HEAD_BYTES
from service.protocols.media_types import BYTES, JPEG, JSON, MULTIPART, NPY, PNG, REQUEST_FORMATS
from tests.conftest import ROOT
from tests.support.raw import Answer, Connection, chunked
from tests.support.serving import Server

CASES_IN_AN_EXAMPLE = 50
CASES_BETWEEN_GOOD_ONES = 1000
CASES = int(os.environ.get("FUZZ_CASES", "100_000"))

SEVEN = (ROOT / "examples/seven.json").read_bytes()
SEVEN_PNG = (ROOT / "examples/seven.png").read_bytes()
PIXELS = np.array(json.loads(SEVEN)["images"], np.uint8)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def picture(mode: str, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS.reshape(28, 28)).convert(mode).save(file, form, **options)
    return file.getvalue()


def form_of(*pictures: bytes) -> bytes:
    parts = [b'--frontier\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n%s\r\n' % each for each in pictures]
    return b"".join(parts) + b"--frontier--\r\n"


BODIES = {
    JSON: [SEVEN, json.dumps({"images": PIXELS.reshape(1, 28, 28).tolist()}).encode(), b'{"images": []}', b"null", b""],
    BYTES: [PIXELS.tobytes(), PIXELS.tobytes() * 3, b"7"],
    NPY: [npy(array) for array in (PIXELS, PIXELS.astype(">f8"), PIXELS.reshape(28, 28).T, PIXELS.astype(complex))]
    + [npy(np.array([{"a": len}], object))],
    PNG: [SEVEN_PNG, picture("L", "png"), picture("RGBA", "png"), picture("P", "png"), picture("1", "png")],
    JPEG: [picture("L", "jpeg"), picture("RGB", "jpeg", progressive=True), picture("CMYK", "jpeg")],
    MULTIPART: [form_of(SEVEN_PNG), form_of(SEVEN_PNG, picture("L", "jpeg")), form_of(), form_of(b"", b"x")],
}
CONTENT_TYPES = [
    *(f"{each}; boundary=frontier" if each == MULTIPART else each for each in REQUEST_FORMATS),
    *("application/json; charset=latin-1", "APPLICATION/JSON", MULTIPART, f"{MULTIPART}; boundary=", f"{PNG}, {JSON}", ""),
    *("text/plain", "application/vnd.bentoml+pickle", "application/x-www-form-urlencoded", "/", ";" * 500, "\xff\xfe"),
]
TOKENS = [
    *(
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b'"',
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\r\n",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"-0",
    ),
    *(b"[" * 2000, b'{"a":' * 2000, b"9" * 5000, b'"images":[],', b'"images":', b"true", b"\\ud800", b"\\u0000", b"0," * 800),
    *(
        b"--frontier",
        b"--frontier--",
        b"IDAT",
        b"IHDR\xff\xff\xff\xff",
        b"\xff\xda",
        b"\xff\xd8\xff",
        b"(" * 300,
        b"'|O'",
        b"-1",
    ),
]
DOCUMENTED = ["/predict", "/model", "/model/weights", "/model/pictures/weights.png", "/samples", "/perceptron", "/livez"]
DOCUMENTED += ["/readyz", "/metrics", "/docs.json", "/schema.json", "/", "/web/maths.js", "/%70redict"]
STRANGE = ["/predict/", "//predict", "/web/../service.py", "/web/%2e%2e/settings.py", "/model/pictures/..%2f..%2fcard.json"]
STRANGE += ["/%00", "/%ff", "/a?b", "/healthz", "/docs", "/metrics/x", "/" + "a" * 5000, "/.git/config", "/predict;x=1", "*"]
QUERIES = ["", "?", "?explain=true", "?explain=false", "?explain=1", "?explain", "?explain=true&explain=false", "?x=%00%ff"]
QUERIES += ["?target=0110&hidden=true", "?target=1", "?learning_rate=NaN", "?seed=-1", "?seed=99999999999", "?" + "a=b&" * 500]
METHODS = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "M-SEARCH"]
ACCEPTS = ["*/*", BYTES, "application/json;q=0", "text/html", f"{BYTES};q=nan, {JSON};q=1e999", ",;=", "a" * 4000, "\xe9"]
HEADERS = [
    *(("Accept", each) for each in ACCEPTS),
    *(("Content-Encoding", each) for each in ("gzip", "identity", "deflate, gzip", "br", "", "\xff")),
    *(("Connection", each) for each in ("keep-alive", "x", "upgrade, close", "Upgrade", ",")),
    *(("Upgrade", each) for each in ("h2c", "TLS/1.0", "websocketx")),
    *(("Range", each) for each in ("bytes=0-10", "bytes=5-1", "bytes=999999-", "bytes=x", "bytes=0-1,3-4", "lines=1-2", "x")),
    *(("If-Range", each) for each in ('"x"', "Tue, 24 Nov 2026 00:00:00 GMT")),
    *(("If-None-Match", "*"), ("If-Modified-Since", "x"), ("Expect", "100-continue"), ("Expect", "200-ok")),
    *(("Accept-Encoding", each) for each in ("gzip", "gzip;q=0", "*", "br")),
    *(("Authorization", each) for each in ("Bearer", "Basic eDp4", "Bearer " + "k" * 5000)),
    *(("Origin", "null"), ("Cookie", "a=" + "b" * 20000), ("Host", "another"), ("Host", ""), ("X-Forwarded-For", "\xff")),
    *(("Content-Type", "text/plain"), ("Content-Type", PNG), ("X", "y" * 60000), ("Traceparent", "00-" + "f" * 32)),
    *(("Access-Control-Request-Method", "POST"), ("X-HTTP-Method-Override", "DELETE"), ("Trailer", "X"), ("Forwarded", ";;")),
]
ENDLESS = [("Content-Length", str(10**9)), ("Content-Length", "9" * 18), ("Transfer-Encoding", "chunked")]
MALFORMED_FRAMES = [
    *(("Content-Length", each) for each in ("-1", "1e3", "0x10", "9" * 30, "1, 2", "seven")),
    *(("Transfer-Encoding", each) for each in ("gzip, chunked, x", "chunked, chunked,")),
    *((" Content-Length", "5"), ("Con\x00tent", "x"), ("Content Length", "5"), ("X", "a\x00b"), ("X", "a\rb")),
]
MALFORMED_CHUNKS = [
    b"x\r\n",
    b"-1\r\n",
    b"ffffffffffffffffff\r\n",
    b"5\r\nabcdefgh\r\n",
    b"\r\n",
    b"1;" + b"\x00" * 9 + b"\r\n",
]
GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"SSH-2.0-x\r\n",
    b"\x00" * 100,
]
GARBAGE += [
    b"BREW / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\n\r\n",
    b"<html>\r\n\r\n",
]


@dataclass(frozen=True)
class Case:
    """A request as bytes. Whole ones are answered on a connection that goes on, malformed ones with 400 and its end."""

    method: str
    path: str
    data: bytes
    is_whole: bool = True
    is_endless: bool = False
    asks_to_upgrade: bool = False


def place(draw: st.DrawFn, text: bytes) -> int:
    return draw(st.integers(0, 2**16)) * len(text) >> 16


@st.composite
def bodies(draw: st.DrawFn, media_type: str) -> bytes:
    """Draw a body that once was one of `media_type`."""
    text = draw(st.sampled_from(BODIES[media_type]))
    for _ in range(draw(st.sampled_from([0, 1, 2, 3, 8]))):
        start, change = place(draw, text), draw(st.sampled_from(["cut", "flip", "drop", "repeat", "insert"]))
        stop = min(len(text), start + draw(st.sampled_from([1, 2, 40, 784])))
        if change == "cut":
            text = text[:start]
        elif change == "flip":
            text = (
                text[:start] + bytes(byte ^ draw(st.integers(1, 255)) for byte in text[start : start + 1]) + text[start + 1 :]
            )
        elif change == "drop":
            text = text[:start] + text[stop:]
        elif change == "repeat":
            text = text[:stop] + text[start:]
        else:
            text = text[:start] + draw(st.sampled_from(TOKENS)) + text[start:]
    return text


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(["whole"] * 17 + ["endless", "malformed", "garbage"]))
    if kind == "garbage":
        return Case("GET", "/", draw(st.sampled_from(GARBAGE)), is_whole=False)
    # Not HEAD, which uvicorn's answers to what is malformed do not honour.
    method = draw(st.sampled_from(["POST"] * 60 + METHODS if kind != "malformed" else ["POST", "GET"]))
    path = draw(st.sampled_from(["/predict"] * 60 + DOCUMENTED + STRANGE))
    target = path + draw(st.sampled_from([""] * 8 + QUERIES))
    media_type = draw(st.sampled_from(list(BODIES)))
    content_type = draw(st.sampled_from([f"{media_type}; boundary=frontier"] * 30 + CONTENT_TYPES))
    headers = [("Host", "x"), ("Content-Type", content_type)]
    headers += draw(st.lists(st.sampled_from(HEADERS), max_size=4))
    body = draw(bodies(media_type))
    if kind == "malformed":
        frame, body = draw(malformed_frames(body))
    elif kind == "endless":
        frame = draw(st.sampled_from(ENDLESS))
        body = chunked(body)[:-5] if frame[1] == "chunked" else body
    else:
        frame = draw(st.sampled_from([("Content-Length", str(len(body))), ("Transfer-Encoding", "chunked")]))
        body = chunked(body, draw(st.sampled_from([1000, 7]))) if frame[1] == "chunked" else body
    headers.insert(draw(st.integers(0, len(headers))), frame)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    data = f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body
    asks_to_upgrade = any(name == "Upgrade" for name, _ in headers) and b"pgrade" in data.partition(b"Connection: ")[2]
    return Case(method, unquote(path.partition("?")[0]), data, kind == "whole", kind == "endless", asks_to_upgrade)


@st.composite
def malformed_frames(draw: st.DrawFn, body: bytes) -> tuple[tuple[str, str], bytes]:
    if draw(st.booleans()):
        return draw(st.sampled_from(MALFORMED_FRAMES)), body
    good = chunked(body, 100)[:-5]
    return ("Transfer-Encoding", "chunked"), good + draw(st.sampled_from(MALFORMED_CHUNKS)) + b"\x00\r\n"


class Stranger:
    """Sends cases and checks the answers."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._operations = operations(server)
        self._workers = server.workers()
        self.statuses: Counter[str] = Counter()
        self.cases = 0

    def try_all(self, batch: list[Case], pipelined: int) -> None:
        whole = [case for case in batch if case.is_whole]
        if any(len(case.data) > MAX_HEAD_BYTES for case in whole):
            pipelined = 1  # a 431 does not wait for the answers to those before
        while whole:
            with Connection(self._server) as connection:
                whole = self._try_whole(connection, whole, pipelined)
        for case in batch:
            if not case.is_whole:
                self._try_other(case)
        before, self.cases = self.cases, self.cases + len(batch)
        if before // CASES_BETWEEN_GOOD_ONES < self.cases // CASES_BETWEEN_GOOD_ONES:
            assert self._server.predict(SEVEN).json()["digits"] == [7]
            assert self._server.workers() == self._workers

    def _try_whole(self, connection: Connection, left: list[Case], pipelined: int) -> list[Case]:
        """Send `pipelined` cases at a time and expect as many answers; return what an end of the connection has left."""
        while left:
            # uvicorn hears nothing more on a connection whose client has asked for another protocol.
            ends = next((index for index, case in enumerate(left) if case.asks_to_upgrade), len(left)) + 1
            group = left[: min(pipelined, ends)]
            connection.send(b"".join(case.data for case in group))
            for case in group:
                answer = connection.answer(case.method)
                assert answer, f"no answer to {case}"
                self._check(case, answer)
                left = left[1:]
                if answer.is_last or case.asks_to_upgrade:
                    return left
        return left

    def _try_other(self, case: Case) -> None:
        with Connection(self._server) as connection:
            connection.send(case.data)
            if case.is_endless:
                return  # leaves; test_limits.py waits for what becomes of those who stay
            while answer := connection.answer(case.method):
                is_uvicorns = answer.content == b"Invalid HTTP request received."
                assert answer.status == 400 if is_uvicorns else self._check(case, answer) is None, case
                self.statuses["400 before HTTP is understood"] += is_uvicorns

    def _check(self, case: Case, answer: Answer) -> None:
        if answer.status == 431 and len(case.data) > MAX_HEAD_BYTES:  # before HTTP is understood, like uvicorn's 400
            self.statuses["431"] += 1
            return
        assert str(answer.status) in self._allowed(case), (case, answer)
        if answer.status >= 400 and case.method != "HEAD":
            document = json.loads(answer.content)
            assert list(document) == ["error"], (case, answer)
            assert document["error"].endswith((".", "…")), document
        self.statuses[str(answer.status)] += 1

    def _allowed(self, case: Case) -> set[str]:
        if case.path not in self._operations:
            return {"404"}
        method = "GET" if case.method == "HEAD" else case.method
        return {status for status in self._operations[case.path].get(method, ["405"]) if status < "500"}


def operations(server: Server) -> dict[str, dict[str, list[str]]]:
    """Return the documented statuses by path and method."""
    found: dict[str, dict[str, list[str]]] = {}
    for path, item in httpx.get(f"{server.url}/docs.json").json()["paths"].items():
        for method, operation in item.items():
            in_path = [each for each in operation.get("parameters", []) if each["in"] == "path"]
            for values in itertools.product(*(each["schema"]["enum"] for each in in_path)):
                filled = path.format(**dict(zip((each["name"] for each in in_path), values, strict=True)))
                found.setdefault(filled, {})[method.upper()] = list(operation["responses"])
    return found


def fuzz(server: Server, num_cases: int, its_seed: int) -> None:
    stranger = Stranger(server)

    @seed(its_seed)
    @settings(
        max_examples=num_cases // CASES_IN_AN_EXAMPLE,
        deadline=None,
        report_multiple_bugs=False,
        database=None,
        phases=(Phase.generate,),  # what hangs would hang again at each step of a search for a smaller example
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example),
    )
    @given(st.lists(cases(), min_size=CASES_IN_AN_EXAMPLE, max_size=CASES_IN_AN_EXAMPLE), st.sampled_from([1, 1, 1, 5, 50]))
    def run(batch: list[Case], pipelined: int) -> None:
        stranger.try_all(batch, pipelined)

    started = time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    print(
        f"{stranger.cases:,} cases, {stranger.cases / seconds:,.0f}/s, seed {its_seed}: {dict(stranger.statuses.most_common())}"
    )
    assert stranger.cases >= num_cases
    assert len(stranger.statuses) >= 5, "hardly anything was tried"


def fuzz_from_apart(url: str, pid: int, num_cases: int, its_seed: int) -> None:
    """Do the same in another process than the one that has started the server."""
    process = cast("subprocess.Popen[bytes]", SimpleNamespace(pid=pid))
    fuzz(Server(url, process, Path()), num_cases, its_seed)


def test_five_thousand_strange_requests_are_answered_as_documented(server: Server) -> None:
    fuzz(server, 5000, its_seed=0)


@pytest.mark.slow
def test_a_hundred_thousand_strange_requests_are_answered_as_documented(server: Server) -> None:
    its_seed = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2**32))
    print(f"repeat this with FUZZ_SEED={its_seed}")
    # Making up requests takes longer than answering them.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        halves = [
            processes.submit(fuzz_from_apart, server.url, server.process.pid, CASES // 2, its_seed + number)
            for number in range(2)
        ]
        for half in halves:
            half.result()
