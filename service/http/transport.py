"""One connection: long request headers are refused, clients that do not read are cut off, small writes are joined."""

import asyncio
import fcntl
import struct
import termios
from typing import Any

from service.http.request_body import ByteBudget
from service.http.request_cycle import MAX_DISCARDED_BYTES
from service.observability import metrics

# Of a request's line and headers; h11 and most servers permit 8 to 64 KiB.
MAX_HEADER_BYTES = 2**16
_SENTENCE = b'{"error":"request line and headers exceed 64 KiB; send fewer or shorter headers."}'
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_SENTENCE), _SENTENCE)
)
# Requests that wait on one connection for the one before them.
_MAX_PIPELINED = 100
# How often it is checked, in the time that a client has for reading, whether it has read.
_CHECKS = 4


class Connection(asyncio.Protocol):
    """Stands between the event loop's transport and uvicorn's protocol for HTTP, for each in the other's place.

    Neither uvicorn nor httptools limits headers, and appending to one takes the latter the square of its length. Nor
    does uvicorn limit for how long an answer is left unread: here what is unsent counts in `budget`, and a client that
    takes none of it for `unread_seconds` is cut off. And uvicorn writes the headers and the body of an answer one by
    one, of which the system's part is a tenth of what a small request costs: between `cork` and `uncork` they are joined.
    """

    def __init__(self, http: Any, budget: ByteBudget, unread_seconds: float) -> None:
        self._http, self._budget, self._unread_seconds = http, budget, unread_seconds
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._header_bytes = self._unsent_bytes = 0
        self._is_refused = self._is_refusal_sent = False
        self._corked: list[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._http.app_state = {**self._http.app_state, "connection": self}  # each request's scope["state"]
        self._http.connection_made(self)
        # To hear of all that the system does not take at once; with 0, uvloop's TLS would tell of nothing as well.
        transport.set_write_buffer_limits(high=1, low=0)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._http.connection_lost(exc)

    def data_received(self, data: bytes | memoryview) -> None:
        permitted = MAX_HEADER_BYTES - self._header_bytes
        if self._http.parser.should_upgrade():
            # What follows an offer of another protocol would be taken for a request, and refused before its time.
            return
        if self._is_refused or not permitted:
            self._refuse(data)
            return
        if len(data) > permitted:
            data = memoryview(data)  # to cut it without a copy
        piece, rest = data[:permitted], data[permitted:]
        before = self._http.cycle
        is_in_body = before is not None and before.more_body
        body_bytes = len(before.body) if before else 0
        self._http.data_received(piece)
        if len(self._http.pipeline) > _MAX_PIPELINED:  # uvicorn goes on reading them
            self._transport.abort()
            return
        # What adds nothing to a body are its trailers, which are headers. Of a request that begins in the middle, behind
        # another, only what follows in the next piece is counted.
        is_in_trailers = before and is_in_body and before.more_body and len(before.body) == body_bytes
        is_in_headers = self._http.cycle is before and (is_in_trailers or not is_in_body)
        self._header_bytes = self._header_bytes + len(piece) if is_in_headers else 0
        if rest and not self.is_closing():
            self.data_received(rest)

    def _refuse(self, data: bytes | memoryview) -> None:
        if not self._is_refused:
            self._is_refused = True
            self._http.shutdown()  # calls `close` once the requests before this one are answered
        self._header_bytes += len(data)
        if self._header_bytes > MAX_DISCARDED_BYTES:
            self._transport.abort()

    def shutdown(self) -> None:
        """Close the connection, once what is being answered is."""
        self._http.shutdown()

    def close(self) -> None:
        self.uncork()
        if self.is_closing() or not self._is_refused:
            self._transport.close()
            return
        # Data is still received afterwards: to close while a client sends would reset what it has not read yet.
        self._is_refusal_sent = True
        self._transport.write(_TOO_LONG)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._loop.call_later(self._unread_seconds, self._transport.abort)

    def is_closing(self) -> bool:
        return self._is_refusal_sent or self._transport.is_closing()

    def cork(self) -> None:
        """Keep what is written from here on."""
        self._corked = []

    def uncork(self) -> None:
        """Write what was kept, in one piece, and all that follows at once."""
        corked, self._corked = self._corked, None
        if corked:
            self.write(b"".join(corked))

    def write(self, data: bytes) -> None:
        if self._corked is not None:
            self._corked.append(data)
        elif not self._transport.is_closing():  # uvicorn tells only the last of several requests that their client left
            self._transport.write(data)

    def pause_writing(self) -> None:
        self._http.pause_writing()
        self._hold(self._transport.get_write_buffer_size())
        if self._budget.unsent > self._budget.limit:
            self._cut_off()
        else:
            self._expect_progress(None, 0)

    def resume_writing(self) -> None:
        self._stop_waiting()
        self._http.resume_writing()

    def _hold(self, unsent_bytes: int) -> None:
        more = unsent_bytes - self._unsent_bytes
        self._unsent_bytes = unsent_bytes
        self._budget.add_unsent(more)

    def _expect_progress(self, untaken_before: int | None, checks_left: int) -> None:
        untaken_bytes = self._count_untaken_bytes()
        checks_left = checks_left - 1 if untaken_bytes == untaken_before else _CHECKS
        if checks_left:
            seconds = self._unread_seconds / _CHECKS
            self._timer = self._loop.call_later(seconds, self._expect_progress, untaken_bytes, checks_left)
        else:
            self._cut_off()

    def _count_untaken_bytes(self) -> int:
        """Return how many bytes are unsent, or sent and not yet acknowledged by the client's system."""
        try:
            (sent,) = struct.unpack("i", fcntl.ioctl(self._transport.get_extra_info("socket"), termios.TIOCOUTQ, bytes(4)))
        except OSError:  # the connection is lost, of which this is about to hear
            return 0
        return self._transport.get_write_buffer_size() + sent

    def _cut_off(self) -> None:
        metrics.UNREAD_ANSWERS.add()
        self._transport.abort()

    def _stop_waiting(self) -> None:
        self._hold(0)
        if self._timer:
            self._timer.cancel()
