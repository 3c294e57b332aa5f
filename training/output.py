"""Writing to standard output and standard error, either of which may be full or closed."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO


class OutputError(Exception):
    """Standard output or standard error cannot be written to."""


@contextlib.contextmanager
def writing(stream: TextIO | None, done: str | None = None) -> Iterator[None]:
    """Let the block write to standard output or standard error (None: closed); `done` says what was changed in the store.

    Raises:
        OutputError: the block raised an OSError, or what it wrote cannot be flushed.
    """
    try:
        yield
        if stream:
            stream.flush()
    except OSError as error:
        if stream:  # else Python would fail to flush the rest when it ends, and print an error of its own
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        sentence = f"standard {'error' if stream is sys.stderr else 'output'} cannot be written to: {error.strerror}"
        raise OutputError(f"{done}, but {sentence}." if done else f"{sentence}; what is served is unchanged.") from None


def fail(sentence: str, code: int = 1) -> int:
    """Say on standard error why the run failed, and return its exit code."""
    with contextlib.suppress(OutputError), writing(sys.stderr):
        print(f"error: {sentence}", file=sys.stderr)
    return code
