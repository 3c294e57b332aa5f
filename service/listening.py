"""Accepting connections: all that wait, where uvloop takes one in each turn of the event loop."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

# One turn's worth: after so many, those who are here already are answered first.
_MAX_IN_A_TURN = 128

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


def accept_all_that_wait(loop: asyncio.AbstractEventLoop) -> None:
    """Let servers that `loop` creates from here on accept as many connections in a turn as have come.

    libuv, from 1.50 on, accepts one. A turn in which 100 clients are answered takes 10 ms, so that of 1,000 new ones
    the last would wait for 10 s; probes, which come on new connections, among them.
    """
    create_server = loop.create_server

    async def create_and_accept(factory: ProtocolFactory, *args: Any, **options: Any) -> Any:
        server = await create_server(factory, *args, **options)
        listening = options.get("sock")
        return _Listening(loop, server, listening, factory, options.get("ssl")) if listening else server

    loop.create_server = create_and_accept  # pyright: ignore[reportAttributeAccessIssue]: its overloads, passed on


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
