"""Where the service listens: found to be possible before the start, and logged once it does.

`python -m service.process.listening 3000` ends with a sentence if `bentoml serve --port 3000` could not listen there.
"""

import errno
import logging
import os
import socket
import sys

import click

logger = logging.getLogger(__name__)

# Where only programs on this machine reach the service. BENTOML_HOST, and --host before that, say otherwise.
DEFAULT_HOST = "127.0.0.1"


class AddressError(ValueError):
    """The address asked for cannot be listened on."""


def check_address(host: str, port: str | int) -> None:
    """Return if `port` of `host`, an IP address, can be listened on.

    Raises:
        AddressError: it cannot; the message says why, and what to do.
    """
    other = "choose another: make serve PORT=3001, or bentoml serve --port 3001."
    if not str(port).isdecimal() or int(port) > 65535:  # the system would take 80000 for 14464
        raise AddressError(f"{str(port)!r} is not a port: a number from 0 to 65535 is expected; {other}")
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            # Like the service's own socket; otherwise connections that have just ended would occupy the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, int(port)))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressError(f"Port {port} is taken: stop what listens there, or {other}") from None
        sentence = f"Port {port} of {host}: {error.strerror}. Give an address of this machine in --host, or {other}"
        raise AddressError(sentence) from None


def check_chosen_address() -> None:
    """Check the address that this process is about to listen on, if it is `bentoml serve`. Raises as `check_address`."""
    from bentoml._internal.configuration.containers import BentoMLContainer  # `make serve` need not wait for it

    context = click.get_current_context(silent=True)
    if context and context.params.keys() >= {"host", "port"}:
        host, port = context.params["host"], context.params["port"]
        defaults = BentoMLContainer.http
        check_address(host or defaults.host.get(), defaults.port.get() if port is None else port)


def log_address(listening: socket.socket, is_encrypted: bool) -> None:
    """Log where `listening` listens. BentoML's own line says localhost for 0.0.0.0, too."""
    host, port = listening.getsockname()[:2]
    scheme = "https" if is_encrypted else "http"
    logger.info("listening on %s://%s:%d", scheme, f"[{host}]" if ":" in host else host, port)


if __name__ == "__main__":
    try:
        check_address(os.environ.get("BENTOML_HOST") or DEFAULT_HOST, sys.argv[1])
    except AddressError as error:
        sys.exit(str(error))
