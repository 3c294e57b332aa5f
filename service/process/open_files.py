"""Room for connections: each of them is an open file."""

import contextlib
import resource


def raise_open_files_limit() -> None:
    """Let this process have as many files open as the system permits.

    What it is started with is often 1,024, for the sake of programs that use `select`: a thousand clients that say
    nothing would then be enough for every other one to be reset.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):  # where "as many as it likes" cannot be asked for
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
