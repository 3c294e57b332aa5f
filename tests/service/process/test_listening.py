"""Which addresses can be listened on, and what is said of others."""

import socket

import pytest

from service.process.listening import check_address

HERE = "127.0.0.1"


def test_a_free_port_is_fine_also_where_connections_have_just_ended() -> None:
    with socket.create_server((HERE, 0)) as listening:
        address = listening.getsockname()
        with socket.create_connection(address) as client:
            served, _ = listening.accept()
            served.close()  # the first to close: its end lingers
            assert client.recv(1) == b""
    check_address(*address)
    check_address(HERE, 0)  # any that is free


def test_a_taken_port_is_refused_also_where_only_one_address_has_it() -> None:
    with socket.create_server((HERE, 0)) as listening:
        port = listening.getsockname()[1]
        for host in (HERE, "0.0.0.0"):
            with pytest.raises(ValueError, match=f"^Port {port} is taken: stop what listens there, or choose another: make"):
                check_address(host, port)


@pytest.mark.parametrize("port", ["abc", "", "1 2", "-1", -1, 65536, "80000", "3000.0"])
def test_what_is_no_port_is_named(port: str | int) -> None:
    with pytest.raises(
        ValueError, match=f"^'{port}' is not a port: a number from 0 to 65535 is expected; choose another: make"
    ):
        check_address(HERE, port)


def test_an_address_that_is_not_this_machines_is_named() -> None:
    with pytest.raises(ValueError, match=r"^Port 3000 of 198\.51\.100\.1: Cannot assign requested address\. Give an address"):
        check_address("198.51.100.1", 3000)
