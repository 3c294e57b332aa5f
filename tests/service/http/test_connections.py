"""How many turns of uvloop's loop it takes until all who wait are accepted."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import cast

import pytest
import uvloop

from service.http.connections import accept_all_pending

CLIENTS = 300
MAX_TURNS = 10_000


class Greeting(asyncio.Protocol):
    """Counts connections and says hello on each."""

    met = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).met += 1
        cast("asyncio.WriteTransport", transport).write(b"hello")


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as server:
        yield server


async def turns_until_all_are_met(listening: socket.socket) -> int:
    Greeting.met = 0
    server = await asyncio.get_running_loop().create_server(Greeting, sock=listening, backlog=2048)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(listening.getsockname())) for _ in range(CLIENTS)]
        turns = 0
        while Greeting.met < CLIENTS and turns < MAX_TURNS:
            turns += 1
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert [client.recv(5) for client in clients] == [b"hello"] * CLIENTS
    server.close()
    await server.wait_closed()
    return turns


def test_all_who_wait_are_accepted_in_a_few_turns(listening: socket.socket) -> None:
    async def scenario() -> int:
        accept_all_pending(asyncio.get_running_loop())
        return await turns_until_all_are_met(listening)

    turns = uvloop.run(scenario())
    print(f"{CLIENTS} clients accepted in {turns} turns")
    assert turns < CLIENTS / 10


def test_uvloop_alone_still_takes_a_turn_for_each(listening: socket.socket) -> None:
    # If this fails, service/http/connections.py has lost its reason.
    assert uvloop.run(turns_until_all_are_met(listening)) >= CLIENTS


def test_who_comes_after_the_close_is_not_accepted(listening: socket.socket) -> None:
    async def scenario() -> None:
        accept_all_pending(asyncio.get_running_loop())
        Greeting.met = 0
        server = await asyncio.get_running_loop().create_server(Greeting, sock=listening, backlog=10)
        server.close()
        with contextlib.suppress(OSError), socket.create_connection(listening.getsockname(), 1):
            await asyncio.sleep(0.05)
        assert Greeting.met == 0

    uvloop.run(scenario())
