"""One request and its answer: counted once, and the rest of a body that was not read discarded."""

import asyncio
import time

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from service.observability import metrics

# Of what a client goes on sending after a refusal, this much is received and discarded before it is cut off.
MAX_DISCARDED_BYTES = 64 * 2**20
_CLOSE = (b"connection", b"close")


def offers_another_protocol(scope: Scope) -> bool:
    """Say whether the request offers to go on in another protocol, as Java's client does in its first one."""
    if b"upgrade" not in dict(scope["headers"]):
        return scope["method"] == "CONNECT"
    tokens = b",".join(value for name, value in scope["headers"] if name == b"connection").lower().split(b",")
    return b"upgrade" in map(bytes.strip, tokens)


class RequestCycle:
    """Stands between the server and the application, for one request.

    An answer is sent at once, also while the client still sends. Closing the connection then would reset it, and the
    client would see that instead of the answer; so the rest of the body is received and discarded, and the connection
    lives on. Only what goes on for too long is cut off. The answer to an offer of another protocol is the last one:
    uvicorn does not take such offers, which it may, but would take a body that follows for the next request.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, route: str, timeout_seconds: float) -> None:
        self.status: int | None = None
        self._started = time.perf_counter()
        self._receive = receive
        self._send = send
        self._route = route
        self._timeout_seconds = timeout_seconds
        self._is_counted = False
        self._is_read = False
        self._is_last = offers_another_protocol(scope)
        self._is_closing = False
        self._start: Message | None = None
        self._connection = scope.get("state", {}).get("connection")
        metrics.REQUESTS_IN_FLIGHT.add(1)

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):  # a client that has left sends no more either
            self._is_read = True
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer. Headers go with the first of its body, so that an error can still take their place.

        Raises:
            ClientDisconnect: the connection is closed, and there would be more to send.
        """
        if message["type"] == "http.response.start":
            if self._is_last:
                message["headers"] = [*message["headers"], _CLOSE]
            self._is_closing = not self._is_read and _CLOSE in message["headers"]
            self._start = message
            return
        if self._start:
            self.status = self._start["status"]
        is_end = not message.get("more_body", False)
        if not is_end and self._connection and self._connection.is_closing():
            raise ClientDisconnect
        if is_end:
            self.count()  # before the client can know of it
        if is_end and not self._is_read and not self._is_closing:
            await self._send_and_discard(message)
        else:
            await self._send_with_start(message)

    async def _send_with_start(self, message: Message) -> None:
        """Send a part of the body, and the headers with the first one: together, where the connection can do that."""
        start, self._start = self._start, None
        if not start:
            await self._send(message)
            return
        if self._connection:
            self._connection.cork()
        try:
            await self._send(start)
            await self._send(message)
        finally:
            if self._connection:
                self._connection.uncork()

    def count(self) -> None:
        """Count the request, if that has not been done yet."""
        if not self._is_counted:
            self._is_counted = True
            metrics.REQUESTS_IN_FLIGHT.add(-1)
            # Where nothing was sent, BentoML's timeout has cancelled this and answers 504 itself.
            metrics.count_request(self._route, self.status or 504, time.perf_counter() - self._started)

    async def _send_and_discard(self, message: Message) -> None:
        """Send the end of an answer, but tell the server that it is one only once the body has arrived."""
        await self._send_with_start({**message, "more_body": True})
        left = MAX_DISCARDED_BYTES
        try:
            async with asyncio.timeout(self._timeout_seconds):
                while not self._is_read and left > 0:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            pass
        if self._is_read:
            await self._send({"type": "http.response.body"})
        # Else nothing more is sent: a server closes the connection of an answer that has no end.
