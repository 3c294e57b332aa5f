"""Connection: what clients leave unread, and what is written together. Its limit on headers: test_header_limit.py."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvicorn
import uvloop
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.connections import accept_all_pending
from service.http.request_body import ByteBudget
from service.http.request_cycle import RequestCycle
from service.observability import metrics

KIB, MIB = 2**10, 2**20
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
# More than the system takes for a client that does not read.
LARGE = 24 * MIB


@contextlib.asynccontextmanager
async def listening(
    app: ASGIApp, budget: ByteBudget, seconds: float, tls: ssl.SSLContext | None = None, is_bounded: bool = True
) -> AsyncIterator[tuple]:
    """Serve `app` with uvicorn in this event loop, and yield the address."""
    if is_bounded:
        accept_all_pending(asyncio.get_running_loop(), budget, seconds)
    config = uvicorn.Config(app, log_config=None, lifespan="off")
    config.load()
    config.ssl = tls
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            await serving


@contextlib.asynccontextmanager
async def connected(address: tuple, request: bytes = GET) -> AsyncIterator[socket.socket]:
    """Yield a connection on which `request` was sent."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KIB)
        client.setblocking(False)
        await loop.sock_connect(client, address)
        await loop.sock_sendall(client, request)
        yield client


async def rest_of(client: socket.socket) -> bytes:
    """Return what the server still sends until it closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := await asyncio.get_running_loop().sock_recv(client, MIB):
            received += piece
    return received


async def becomes(condition: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what the server does has no event
            await asyncio.sleep(0.02)


def answering(*pieces: bytes) -> ASGIApp:
    """Return an application that answers each request with a body of these pieces."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    return app


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    uvloop.run(asyncio.wait_for(scenario(), 60))  # pyright: ignore[reportArgumentType]


UNREAD = {
    "one large message": (answering(bytes(LARGE)), GET),
    "many messages": (answering(*[bytes(MIB // 4)] * (4 * LARGE // MIB)), GET),
    "small answers to requests sent at once": (answering(bytes(256 * KIB)), GET * (LARGE // (256 * KIB))),
}


@pytest.mark.parametrize(("app", "request_bytes"), UNREAD.values(), ids=UNREAD)
def test_an_answer_that_is_not_read_counts_until_its_client_is_cut_off(app: ASGIApp, request_bytes: bytes) -> None:
    async def scenario() -> None:
        budget = ByteBudget(64 * MIB)
        async with listening(app, budget, 1) as address, connected(address, request_bytes) as client:
            await becomes(lambda: budget.reserved)
            assert budget.unsent == budget.reserved
            await becomes(lambda: not budget.reserved, 10)
            assert budget.unsent == 0
            assert len(await rest_of(client)) < LARGE

    run(scenario)


def test_a_client_that_reads_slowly_gets_its_whole_answer() -> None:
    seconds = 0.8

    async def scenario() -> None:
        budget = ByteBudget(64 * MIB)
        async with listening(answering(bytes(LARGE)), budget, seconds) as address, connected(address) as client:
            received = 0
            for _ in range(40):  # altogether four times as long as a client may read nothing
                received += len(await asyncio.get_running_loop().sock_recv(client, 64 * KIB))
                await asyncio.sleep(seconds / 10)
            assert budget.reserved
            while received < LARGE:
                received += len(await asyncio.get_running_loop().sock_recv(client, MIB))
            await becomes(lambda: not budget.reserved)

    run(scenario)


def test_beyond_the_budget_no_more_is_held_for_clients_that_do_not_read() -> None:
    async def scenario() -> None:
        budget = ByteBudget(LARGE)
        async with listening(answering(bytes(LARGE)), budget, 60) as address, contextlib.AsyncExitStack() as clients:
            first = await clients.enter_async_context(connected(address))
            await becomes(lambda: budget.unsent)
            second = await clients.enter_async_context(connected(address))
            assert len(await rest_of(second)) < LARGE
            assert 0 < budget.unsent <= LARGE
            first.close()
            await becomes(lambda: not budget.unsent)

    run(scenario)


@pytest.mark.parametrize("is_bounded", [True, False])
def test_headers_and_body_are_written_as_one_which_uvicorn_alone_does_not(is_bounded: bool) -> None:
    # If this fails for uvicorn alone, service/http/transport.py has one reason less.
    sockets, seen = [], []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_look(message: Message) -> None:
            await send(message)
            with contextlib.suppress(BlockingIOError):
                seen.append(sockets[0].recv(KIB, socket.MSG_PEEK)[-4:])

        metrics.start(["/"])
        cycle = RequestCycle(scope, receive, send_and_look, "/", 10)
        await cycle.receive()
        before = list(seen)
        await cycle.send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        assert seen == before
        await cycle.send({"type": "http.response.body", "body": b"body"})

    async def scenario() -> None:
        close = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        async with listening(app, ByteBudget(MIB), 10, is_bounded=is_bounded) as address, connected(address, b"") as client:
            sockets.append(client)
            for request in (GET, GET):
                await asyncio.get_running_loop().sock_sendall(client, request)
                received = b""
                while not received.endswith(b"\r\n\r\nbody"):
                    received += await asyncio.get_running_loop().sock_recv(client, KIB)
            await asyncio.get_running_loop().sock_sendall(client, close)
            assert (await rest_of(client)).endswith(b"\r\n\r\nbody")  # though uvicorn closes before it is written

    run(scenario)
    assert (b"\r\n\r\n" in seen) is not is_bounded


def test_an_answer_without_end_ends_when_its_client_has_left() -> None:
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        metrics.start(["/"])
        cycle = RequestCycle(scope, receive, send, "/", 10)
        await cycle.receive()
        await cycle.send({"type": "http.response.start", "status": 200, "headers": []})
        with contextlib.suppress(ClientDisconnect):
            while True:
                await cycle.send({"type": "http.response.body", "body": b"more", "more_body": True})
                await asyncio.sleep(0)
        ended.set()

    async def scenario() -> None:
        async with listening(app, ByteBudget(MIB), 10) as address:
            async with connected(address) as client:
                assert await asyncio.get_running_loop().sock_recv(client, KIB)
            await asyncio.wait_for(ended.wait(), 20)

    run(scenario)


@pytest.mark.parametrize("method", [b"HEAD", b"GET"])
def test_a_head_does_not_wait_for_a_body_that_does_not_come(method: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        if scope["method"] == "GET":
            await receive()
            await receive()  # until the client has left

    async def scenario() -> None:
        async with listening(app, ByteBudget(MIB), 10) as address, connected(address, GET.replace(b"GET", method)) as client:
            assert (await asyncio.get_running_loop().sock_recv(client, KIB)).endswith(b"content-length: 4\r\n\r\n")

    run(scenario)


def anonymous_tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return contexts for a server and a client that need no certificate."""
    contexts = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    contexts[1].check_hostname = False
    for context in contexts:
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    return contexts


def test_over_tls_answers_are_sent_and_unread_ones_cut_off_too(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        budget, (for_server, for_client) = ByteBudget(64 * MIB), anonymous_tls()
        pieces = [bytes(MIB // 4)] * (4 * LARGE // MIB)
        async with listening(answering(*pieces), budget, 1, for_server) as address:
            reader, writer = await asyncio.open_connection(*address, ssl=for_client)
            writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert len(await reader.read()) > LARGE
            writer.close()
            reader, writer = await asyncio.open_connection(*address, ssl=for_client, limit=KIB)
            writer.write(GET)
            await becomes(lambda: budget.unsent)
            await becomes(lambda: not budget.unsent, 10)
            writer.transport.abort()

    run(scenario)
    assert caplog.text == ""
