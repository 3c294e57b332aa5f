"""HTTP by hand: for requests that no client would send, and for answers that come while one still sends."""

import socket
from dataclasses import dataclass
from typing import Self

from tests.support.serving import Server

PATIENCE_SECONDS = 5


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def is_last(self) -> bool:
        return self.headers.get("connection") == "close"


class Connection:
    """One connection to a server. A context manager."""

    def __init__(self, server: Server, seconds: float = PATIENCE_SECONDS) -> None:
        self.socket = server.connect(seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._came = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, method: str = "POST") -> Answer | None:
        """Return the next answer, or None where the server has closed the connection. Raises TimeoutError."""
        try:
            return self._answer(method)
        except (EOFError, ConnectionResetError, BrokenPipeError):
            return None

    def _answer(self, method: str) -> Answer:
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        if status == 100:
            return self._answer(method)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if method == "HEAD" or status in (101, 204, 304):
            return Answer(status, headers, b"")
        content = self._chunks() if "transfer-encoding" in headers else self._exactly(int(headers["content-length"]))
        return Answer(status, headers, content)

    def _until(self, end: bytes) -> bytes:
        while end not in self._came:
            self._receive()
        part, _, self._came = self._came.partition(end)
        return part

    def _exactly(self, size: int) -> bytes:
        while len(self._came) < size:
            self._receive()
        part, self._came = self._came[:size], self._came[size:]
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
        self._came += data


def head(method: str = "POST", target: str = "/predict", **headers: str | int) -> bytes:
    """Return the head of a request; underscores in names of headers stand for hyphens."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x", *(f"{name.replace('_', '-')}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunked(body: bytes, size: int = 2**14) -> bytes:
    """Return `body` in chunks of up to `size` bytes."""
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
