"""How many turns of uvloop's loop it takes until all pending connections are accepted, and TLS handshakes that fail."""

import asyncio
import contextlib
import gc
import socket
import ssl
from collections.abc import Iterator
from typing import cast

import pytest
import uvloop

from service.http.connections import _Listener, accept_all_pending
from service.http.request_body import ByteBudget
from service.observability import metrics

CLIENTS = 300
MAX_TURNS = 10_000


class Greeting(asyncio.Protocol):
    """Counts connections and says hello on each."""

    accepted = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).accepted += 1
        cast("asyncio.WriteTransport", transport).write(b"hello")


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as server:
        yield server


async def turns_until_all_are_accepted(listening: socket.socket) -> int:
    Greeting.accepted = 0
    server = await asyncio.get_running_loop().create_server(Greeting, sock=listening, backlog=2048)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(listening.getsockname())) for _ in range(CLIENTS)]
        turns = 0
        while Greeting.accepted < CLIENTS and turns < MAX_TURNS:
            turns += 1
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert [client.recv(5) for client in clients] == [b"hello"] * CLIENTS
    server.close()
    await server.wait_closed()
    return turns


def test_all_pending_connections_are_accepted_in_a_few_turns(listening: socket.socket) -> None:
    async def scenario() -> int:
        accept_all_pending(asyncio.get_running_loop(), ByteBudget(2**20), 10)
        return await turns_until_all_are_accepted(listening)

    turns = uvloop.run(scenario())
    print(f"{CLIENTS} clients accepted in {turns} turns")
    assert turns < CLIENTS / 10


def test_uvloop_alone_still_takes_a_turn_for_each(listening: socket.socket) -> None:
    # If this fails, service/http/connections.py has lost its reason.
    assert uvloop.run(turns_until_all_are_accepted(listening)) >= CLIENTS


def test_after_the_close_no_connection_is_accepted(listening: socket.socket) -> None:
    async def scenario() -> None:
        accept_all_pending(asyncio.get_running_loop(), ByteBudget(2**20), 10)
        Greeting.accepted = 0
        server = await asyncio.get_running_loop().create_server(Greeting, sock=listening, backlog=10)
        server.close()
        with contextlib.suppress(OSError), socket.create_connection(listening.getsockname(), 1):
            await asyncio.sleep(0.05)
        assert Greeting.accepted == 0

    uvloop.run(scenario())


class Http(asyncio.Protocol):
    """What `Connection` knows of uvicorn's protocol; told to shut down, it closes its connection."""

    cycle = None

    def __init__(self) -> None:
        self.app_state: dict[str, object] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def shutdown(self) -> None:
        self.transport.close()


def test_a_connection_that_is_being_set_up_when_the_listener_is_closed_is_told_to_end(listening: socket.socket) -> None:
    async def scenario() -> bytes:
        loop = asyncio.get_running_loop()
        accept_all_pending(loop, ByteBudget(2**20), 10)
        server = await loop.create_server(Http, sock=listening)
        with socket.create_connection(listening.getsockname()) as client:
            client.setblocking(False)
            cast("_Listener", server)._accept()
            server.close()
            return await asyncio.wait_for(loop.sock_recv(client, 1), 5)

    assert uvloop.run(scenario()) == b""


def test_plain_http_on_a_tls_port_is_counted_and_not_logged(
    listening: socket.socket, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        accept_all_pending(loop, ByteBudget(2**20), 10)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate, for which it is too early here
        server = await loop.create_server(Greeting, sock=listening, backlog=2048, ssl=tls)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection(listening.getsockname())) for _ in range(CLIENTS)]
            for client in clients:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            while failed_handshakes() < before + CLIENTS:  # noqa: ASYNC110 - what is counted has no event
                await asyncio.sleep(0.01)
        server.close()

    metrics.start([])
    before = failed_handshakes()
    uvloop.run(asyncio.wait_for(scenario(), 30))
    gc.collect()  # only then asyncio would say that a task's exception was never retrieved
    assert (caplog.text, capfd.readouterr().err) == ("", "")


def failed_handshakes() -> float:
    text = metrics.exposition().decode()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith("digit_classifier_failed_handshakes_t")))
