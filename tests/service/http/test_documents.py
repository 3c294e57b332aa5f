"""Document: one body, whole or compressed, in pieces that a client which does not read cannot pile up."""

import asyncio
import gzip

import pytest
from starlette.requests import Request
from starlette.types import Message

from service.http.documents import Document, file_type

CONTENT = b"0123456789abcdef" * 20_000


def sent(content: bytes, *headers: tuple[str, str]) -> list[Message]:
    named = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": "GET", "headers": named}
    messages = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    asyncio.run(Document(content, "text/plain", {}).answer(Request(scope))(scope, receive, send))
    return messages


@pytest.mark.parametrize("size", [1, 2**16, 2**16 + 1, len(CONTENT)])
def test_a_body_is_sent_in_pieces_of_64_kib_of_which_only_the_last_says_so(size: int) -> None:
    start, *pieces = sent(CONTENT[:size])
    assert dict(start["headers"])[b"content-length"] == b"%d" % size
    assert b"".join(piece["body"] for piece in pieces) == CONTENT[:size]
    assert max(len(piece["body"]) for piece in pieces) <= 2**16
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]


def test_it_is_compressed_for_those_who_take_that() -> None:
    start, piece = sent(CONTENT, ("accept-encoding", "gzip"))
    assert dict(start["headers"])[b"content-encoding"] == b"gzip"
    assert gzip.decompress(piece["body"]) == CONTENT


def test_lists_of_headers_may_stand_on_several_lines() -> None:
    start, _ = sent(CONTENT, ("accept-encoding", "br"), ("accept-encoding", "gzip"))
    assert dict(start["headers"])[b"content-encoding"] == b"gzip"
    tag = dict(sent(CONTENT)[0]["headers"])[b"etag"].decode()
    assert sent(CONTENT, ("if-none-match", '"another"'), ("if-none-match", tag))[0]["status"] == 304


def test_a_file_of_no_known_kind_is_bytes() -> None:
    assert [file_type(name) for name in ("a.css", "a.unknown")] == ["text/css", "application/octet-stream"]
