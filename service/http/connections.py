"""Accepting connections: all that are pending, where uvloop takes one in a turn of its loop."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from service.http.request_body import ByteBudget
from service.http.transport import Connection
from service.observability import metrics
from service.process.listening import log_address

# In one turn; after so many, clients that are connected already are answered first.
_MAX_ACCEPTED = 128
# For so long a connection that was still being set up when the listener was closed may send its request.
_LATE_SECONDS = 0.2

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


def accept_all_pending(loop: asyncio.AbstractEventLoop, budget: ByteBudget, unread_seconds: float) -> None:
    """Let servers that `loop` creates on sockets from here on accept all connections that are pending, in each turn.

    libuv, from 1.50 on, accepts one. A turn in which 100 clients are answered takes 10 ms, so that of 1,000 new
    connections the last would wait for 10 s; probes, which come on new connections, among them. Protocols for HTTP,
    which uvicorn's are, get a `Connection` that bounds them.
    """
    create_server = loop.create_server

    async def create_and_accept(factory: ProtocolFactory, *args: Any, **options: Any) -> Any:
        if not (listening := options.get("sock")):
            return await create_server(factory, *args, **options)

        tls = options.get("ssl")
        log_address(listening, is_encrypted=tls is not None)

        def create() -> asyncio.BaseProtocol:
            protocol: Any = factory()
            if not hasattr(protocol, "cycle"):  # the request that one of uvicorn's for HTTP is at
                return protocol
            protocol.ws_protocol_class = None  # an offer to speak WebSocket is declined as any other is
            return Connection(protocol, budget, unread_seconds)

        return _Listener(loop, create, listening, options.get("backlog", 100), tls)

    loop.create_server = create_and_accept  # pyright: ignore[reportAttributeAccessIssue]: its overloads, passed on


class _Listener:
    """A server as asyncio has it, on one socket."""

    def __init__(self, loop: Any, factory: ProtocolFactory, listening: socket.socket, backlog: int, tls: Any) -> None:
        self._loop, self._factory, self._socket, self._tls = loop, factory, listening, tls
        self._arriving: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        listening.setblocking(False)
        listening.listen(backlog)
        loop.add_reader(listening, self._accept)

    def _accept(self) -> None:
        for _ in range(_MAX_ACCEPTED):
            try:
                connection, _ = self._socket.accept()
            except OSError:  # none is pending any more, its client has left, or no more files can be open
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._set_up(connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _set_up(self, connection: socket.socket) -> None:
        try:
            _, protocol = await self._loop.connect_accepted_socket(self._factory, connection, ssl=self._tls)
            if self._is_closed and isinstance(protocol, Connection):
                # uvicorn has told all that there were to end. This one would live, and uvicorn wait for it, for ever.
                self._loop.call_later(_LATE_SECONDS, protocol.shutdown)
        except OSError:  # the client has left, or sends what is no TLS: ssl.SSLError is one too
            if self._tls:
                metrics.FAILED_HANDSHAKES.add()

    def close(self) -> None:
        self._is_closed = True
        self._loop.remove_reader(self._socket)

    async def wait_closed(self) -> None:
        """Return at once: uvicorn waits for its connections itself."""
