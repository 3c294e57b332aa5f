"""`docker compose down -v` takes away all that `up` brought."""

from tests.support.stack import Stack, docker


def test_down_leaves_nothing(images: None) -> None:
    stack = Stack("digits-that-go")
    mine = ("--filter", f"label=com.docker.compose.project={stack.project}", "-q")
    kinds = (("ps", "-a"), ("volume", "ls"), ("network", "ls"))
    try:
        stack.compose("up", "-d", "prometheus")
        stack.compose("run", "--rm", "-T", "train", "list")
        assert all(docker(*kind, *mine) for kind in kinds)
    finally:
        stack.compose("down", "-v")
    assert not any(docker(*kind, *mine) for kind in kinds)
