"""One client among many: what it may take of the proxy, and what it is told beyond that."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.support.serving import free_port
from tests.support.stack import BASE_IMAGE, Stack, answers_seven, docker
from tests.support.waiting import until

CONNECTIONS, MAX_CONNECTIONS = 4200, 512
# Says when it is connected, and a second later how many of the connections are still open.
SILENT = f"""
import socket, time
proxy = (socket.gethostbyname("proxy"), 3000)
held = [socket.socket() for _ in range({CONNECTIONS})]
for connection in held:
    connection.settimeout(5)
    connection.connect_ex(proxy)
print("connected", flush=True)
time.sleep(1)
def is_open(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
print(sum(map(is_open, held)), "open", flush=True)
time.sleep(60)
"""


@contextmanager
def silent_client(stack: Stack) -> Iterator[str]:
    """Run a client with an address of its own that connects again and again and says nothing."""
    options = ("-d", "--network", f"{stack.project}_default", "--ulimit", "nofile=8192")
    container = docker("run", *options, BASE_IMAGE, "python3", "-c", SILENT)
    try:
        until(lambda: "connected" in docker("logs", container), 30, "all connections are made")
        yield container
    finally:
        docker("rm", "-f", container)


def test_silent_connections_of_one_client_hold_up_nobody_else(stack: Stack) -> None:
    assert answers_seven(stack.url, seconds=5)
    with silent_client(stack) as client:
        assert answers_seven(stack.url, seconds=5)  # the proxy cuts what is silent after 10 s
        until(lambda: f"{MAX_CONNECTIONS} open" in docker("logs", client), 10, "the other connections were ended at once")


def test_an_address_that_asks_too_often_is_told_so_and_when_to_come_back(stack: Stack) -> None:
    port = free_port()
    settings = {"MAX_CONNECTIONS_PER_ADDRESS": "0", "MAX_REQUESTS_PER_SECOND_PER_ADDRESS": "10"}
    with stack.another("proxy", "-p", f"127.0.0.1:{port}:3000", **settings) as proxy:
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers_seven(url), 20, "the proxy has found a replica")
        with httpx.Client() as client:
            answers = [client.get(f"{url}/livez") for _ in range(40)]
        assert set(Counter(answer.status_code for answer in answers)) == {200, 429}
        refused = next(answer for answer in answers if answer.status_code == 429)
        sentence = "Overloaded: more requests than 10 in a second came from this address; retry after 1 s."
        assert (refused.json(), refused.headers["retry-after"]) == ({"error": sentence}, "1")
        until(lambda: answers_seven(url), 10, "it is answered again")
        docker("network", "disconnect", f"{stack.project}_serving", proxy)
        until(lambda: httpx.get(f"{url}/livez").status_code == 503, 20, "no replica is left")
        assert httpx.get(f"{url}/livez").headers["retry-after"] == "3"
