"""HTTP by hand, over one connection: requests that no client would send, answers before a request is complete, lost ones."""

import json
import select
import socket
from dataclasses import dataclass
from typing import Any, Self

from service.protocols.media_types import JSON

PATIENCE_SECONDS = 5


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def is_last(self) -> bool:
        return self.headers.get("connection") == "close"


class Connection:
    """One connection to a server's address. A context manager."""

    def __init__(self, address: tuple[str, int], seconds: float = PATIENCE_SECONDS) -> None:
        self.socket = socket.create_connection(address, seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, request: bytes, method: str = "POST") -> Answer:
        """Send a request and return its answer."""
        self.send(request)
        answer = self.answer(method)
        assert answer, "the server has closed the connection instead of answering"
        return answer

    def answer(self, method: str = "POST") -> Answer | None:
        """Return the next answer, or None where the server has closed the connection. Raises TimeoutError."""
        try:
            return self.next_answer(method)
        except (EOFError, ConnectionResetError, BrokenPipeError):
            return None

    def next_answer(self, method: str = "POST") -> Answer:
        """Return the next answer. Raises EOFError where the server has closed the connection, ConnectionError, TimeoutError."""
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        if status == 100:
            return self.next_answer(method)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if method == "HEAD" or status in (101, 204, 304):
            return Answer(status, headers, b"")
        content = self._chunks() if "transfer-encoding" in headers else self._exactly(int(headers["content-length"]))
        return Answer(status, headers, content)

    def has_something_to_read(self) -> bool:
        """Say whether the server has sent something, or has closed the connection."""
        return bool(self._received or select.select([self.socket], [], [], 0)[0])

    def is_closed_by_the_server(self) -> bool:
        """Wait until the server sends or closes, and say whether it has closed."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._receive()
        part, _, self._received = self._received.partition(end)
        return part

    def _exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            self._receive()
        part, self._received = self._received[:size], self._received[size:]
        return part

    def _chunks(self) -> bytes:
        content = b""
        while size := int(self._until(b"\r\n"), 16):
            content += self._exactly(size + 2)[:-2]
        self._until(b"\r\n")
        return content

    def _receive(self) -> None:
        data = self.socket.recv(2**18)
        if not data:
            raise EOFError
        self._received += data


def request_headers(method: str = "POST", target: str = "/predict", **headers: str | int) -> bytes:
    """Return request line and headers; underscores in names of headers stand for hyphens."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x", *(f"{name.replace('_', '-')}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def post(body: bytes, content_type: str = JSON, target: str = "/predict", **headers: str | int) -> bytes:
    """Return a whole POST request."""
    return request_headers("POST", target, Content_Type=content_type, Content_Length=len(body), **headers) + body


def chunked(body: bytes, size: int = 2**14) -> bytes:
    """Return `body` in chunks of up to `size` bytes."""
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
