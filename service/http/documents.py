"""A body that is served more than once, and the headers of those that are files of a page."""

import gzip
import hashlib
from collections.abc import Collection, Mapping
from mimetypes import guess_type
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.errors import ApiError
from service.protocols.accept import preferred
from service.protocols.media_types import BYTES

# More of an answer than a client reads is not given to its connection, where what is unsent counts against everybody.
_PIECE_BYTES = 2**16

FILE_HEADERS = MappingProxyType(
    {
        # Nothing from elsewhere, nothing inline, no plugins, no frames, no forms.
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
)


class Document:
    """A body that is served more than once: with a strong ETag, and compressed once, with another (RFC 9110, 8.8.3.3)."""

    def __init__(self, content: bytes, media_type: str, headers: Mapping[str, str]) -> None:
        self._media_type = media_type
        tag, packed = hashlib.sha256(content).hexdigest()[:32], gzip.compress(content, mtime=0)
        headers = {**headers, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        self._plain = content, headers | {"ETag": f'"{tag}"'}
        self._gzip = packed, headers | {"ETag": f'"{tag}-gzip"', "Content-Encoding": "gzip"}
        self._codings = ("identity", "gzip") if len(packed) < 0.9 * len(content) else ("identity",)

    def answer(self, request: Request) -> Response:
        coding = preferred(_listed(request, "accept-encoding"), self._codings)
        content, headers = self._gzip if coding == "gzip" else self._plain
        known = {tag.strip().removeprefix("W/") for tag in _listed(request, "if-none-match").split(",")}
        if known & {headers["ETag"], "*"}:
            return Response(status_code=304, headers=headers)
        return _InPieces(content, media_type=self._media_type, headers=headers)


def _listed(request: Request, name: str) -> str:
    """Return a header that is a list, which may stand on several lines (RFC 9110, 5.3)."""
    return ",".join(request.headers.getlist(name))


class _InPieces(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        starts = range(0, len(self.body), _PIECE_BYTES)
        for start in starts:
            piece = self.body[start : start + _PIECE_BYTES]
            await send({"type": "http.response.body", "body": piece, "more_body": start != starts[-1]})


def file_type(name: str) -> str:
    """Return the media type of a file of that name."""
    return guess_type(name)[0] or BYTES


def known(name: str, names: Collection[str]) -> str:
    """Return `name`, which is one of `names`, or raise an `ApiError`, 404."""
    if name not in names:
        raise ApiError(404, "not_found", f"there is no {name[:80]}; there are: {', '.join(names)}.")
    return name
