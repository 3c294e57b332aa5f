"""Accepting connections: all that wait, where uvloop takes one in a turn, and cutting off heads of requests without end."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from service.process.listening import log_address

# One turn's worth: after so many, those who are here already are answered first.
_MAX_IN_A_TURN = 128

# Of a request's line and headers; h11 and most servers permit 8 to 64 KiB.
MAX_HEAD_BYTES = 2**16
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


def accept_all_pending(loop: asyncio.AbstractEventLoop) -> None:
    """Let servers that `loop` creates from here on accept as many connections in a turn as have come.

    libuv, from 1.50 on, accepts one. A turn in which 100 clients are answered takes 10 ms, so that of 1,000 new ones
    the last would wait for 10 s; probes, which come on new connections, among them. Their protocols are uvicorn's, for
    HTTP by httptools, and are told apart from others by having a `cycle`: the request that they are at.
    """
    create_server = loop.create_server

    async def create_and_accept(factory: ProtocolFactory, *args: Any, **options: Any) -> Any:
        bounded = _with_bounded_heads(factory)
        server = await create_server(bounded, *args, **options)
        listening = options.get("sock")
        if listening is None:
            return server
        log_address(listening, is_encrypted=options.get("ssl") is not None)
        return _Listening(loop, server, listening, bounded, options.get("ssl"))

    loop.create_server = create_and_accept  # pyright: ignore[reportAttributeAccessIssue]: its overloads, passed on


def _with_bounded_heads(factory: ProtocolFactory) -> ProtocolFactory:
    # Neither uvicorn nor httptools has a limit, and the latter takes the square of a header's length to append to it.
    def create() -> asyncio.BaseProtocol:
        protocol: Any = factory()
        if not hasattr(protocol, "cycle"):
            return protocol
        receive, head_bytes = protocol.data_received, 0

        def data_received(data: bytes) -> None:
            nonlocal head_bytes
            cycle = protocol.cycle
            is_in_body = cycle is not None and cycle.more_body
            receive(data)
            head_bytes = 0 if is_in_body or protocol.cycle is not cycle else head_bytes + len(data)
            if head_bytes > MAX_HEAD_BYTES:
                _cut_off(protocol, head_bytes)

        protocol.data_received = data_received
        return protocol

    return create


def _cut_off(protocol: Any, head_bytes: int) -> None:
    if head_bytes > 16 * MAX_HEAD_BYTES:
        protocol.transport.abort()
    elif (protocol.cycle is None or protocol.cycle.response_complete) and not protocol.transport.is_closing():
        # Else those before would take this for their answer.
        protocol.transport.write(_TOO_LONG)
        protocol.transport.close()


class _Listening:
    """A server of the event loop, with a second look at its socket."""

    def __init__(self, loop: Any, server: Any, listening: socket.socket, factory: ProtocolFactory, ssl: Any) -> None:
        self._loop, self._server, self._factory, self._ssl = loop, server, factory, ssl
        self._socket = listening.dup()  # the event loop watches each number of a file once
        self._socket.setblocking(False)
        self._arriving: set[asyncio.Task[Any]] = set()
        loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        for _ in range(_MAX_IN_A_TURN):
            try:
                connection, _ = self._socket.accept()
            except OSError:  # nobody waits any more, has left again, or there is no number left for a file
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._loop.connect_accepted_socket(self._factory, connection, ssl=self._ssl))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._server.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)
