"""Requests drawn at random: good ones that were damaged, headers of all kinds, frames that are none."""

import json
from dataclasses import dataclass
from urllib.parse import unquote

import hypothesis.strategies as st
import numpy as np
from PIL import Image

from service.protocols.media_types import BYTES, JPEG, JSON, MULTIPART, NPY, PNG, REQUEST_FORMATS
from tests.support.bodies import form_of, npy
from tests.support.pictures import encoded
from tests.support.project import ABOUT_MODELS, PIXELS, SEVEN, SEVEN_PNG
from tests.support.raw_http import chunked


def picture(mode: str, form: str, **options: object) -> bytes:
    return encoded(Image.fromarray(PIXELS.reshape(28, 28)).convert(mode), form, **options)


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
DOCUMENTED = [
    "/predict",
    *ABOUT_MODELS,
    "/livez",
    "/docs",
    "/docs/docs.js",
    "/readyz",
    "/metrics",
    "/docs.json",
    "/schema.json",
]
DOCUMENTED += ["/", "/web/maths.js", "/%70redict"]
UNKNOWN = ["/predict/", "//predict", "/web/../service.py", "/web/%2e%2e/settings.py", "/model/pictures/..%2f..%2fcard.json"]
UNKNOWN += ["/%00", "/%ff", "/a?b", "/healthz", "/docs/", "/metrics/x", "/" + "a" * 5000, "/.git/config", "/predict;x=1", "*"]
QUERIES = ["", "?", "?explain=true", "?explain=false", "?explain=1", "?explain", "?explain=true&explain=false", "?x=%00%ff"]
QUERIES += ["?seen=true", "?seen", "?explain=true&seen=true"]
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
    path = draw(st.sampled_from(["/predict"] * 60 + DOCUMENTED + UNKNOWN))
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
