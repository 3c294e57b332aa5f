"""The limit on open files, of which each connection is one."""

import contextlib
import resource


def raise_open_files_limit() -> None:
    """Let this process open as many files as the system permits.

    It often starts with 1,024, for the sake of programs that use `select`: a thousand idle clients would then be enough
    to shut out all others.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):  # where the hard limit is infinite, and infinity cannot be set
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
