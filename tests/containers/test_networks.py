"""What a replica reaches over the network: the proxy and nothing else."""

import json
import socket
from collections.abc import Iterator

import psutil
import pytest

from tests.support.stack import Stack, docker, inspected

NOBODY_REACHES = "169.254.169.254:80"  # where clouds tell a machine its credentials
REACHED = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def is_reached(target):
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 3).close()
    except OSError:
        return False
    return True

targets = sys.argv[1:]
with ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps([target for target, reached in zip(targets, pool.map(is_reached, targets)) if reached]))
"""


def reached(container: str, *targets: str) -> list[str]:
    return json.loads(docker("exec", container, "python", "-c", REACHED, *targets))


def networks(container: str) -> dict[str, dict]:
    return {name.partition("_")[2]: each for name, each in inspected(container)["NetworkSettings"]["Networks"].items()}


@pytest.fixture
def host_port() -> Iterator[int]:
    """Open a port on every address of this machine."""
    with socket.create_server(("0.0.0.0", 0), backlog=64) as listening:
        yield listening.getsockname()[1]


def test_a_replica_reaches_the_proxy_and_neither_prometheus_nor_the_machine_nor_the_clouds_metadata(
    stack: Stack, host_port: int
) -> None:
    service, proxy, prometheus = (stack.containers(name)[0] for name in ("service", "proxy", "prometheus"))
    assert networks(service).keys() == {"serving"}
    listened = {f"{each['IPAddress']}:9090" for each in networks(prometheus).values()}
    machine = {
        f"{each.address}:{host_port}"
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family == socket.AF_INET and not each.address.startswith("127.")
    }
    gateway = f"{networks(service)['serving']['Gateway']}:{host_port}"
    assert len(listened) == 2
    assert reached(service, "proxy:3000", "prometheus:9090", NOBODY_REACHES, gateway, *listened, *machine) == ["proxy:3000"]
    # The port is there for a container that has more than the one network.
    docker("exec", proxy, "bash", "-c", f"exec 3<>/dev/tcp/{networks(proxy)['default']['Gateway']}/{host_port}")


def test_the_training_has_no_network(stack: Stack) -> None:
    assert networks(stack.compose("ps", "-aq", "train")).keys() == {""}
