"""The file of API keys, read again when it changes, so that keys are exchanged without a restart."""

import logging
import re
import stat
import time
from pathlib import Path

from service.settings import check_keys

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_MAX_BYTES = 2**16
# Not every #, since a key may have one.
_COMMENT = re.compile(r"(^|\s)#.*")


class KeyFileError(ValueError):
    """The file cannot be used; the message names the file and says what is expected, and shows no key."""


class KeyFile:
    """The keys in the file at `path`: one in a line, or several with commas between; from # on, a line is a comment.

    Raises:
        KeyFileError: the file cannot be read, has no key, or has one that is too short.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = self._state_now()
        self.keys = self._read()
        self._next_poll = time.monotonic() + _POLL_SECONDS

    def has_changed(self) -> bool:
        """Look at the file at most once a second, and say whether `keys` are others; a broken file leaves them as they are."""
        if time.monotonic() < self._next_poll:
            return False
        self._next_poll = time.monotonic() + _POLL_SECONDS
        return (state := self._state_now()) != self._state and self._has_read(state)

    def _has_read(self, state: tuple[int, ...]) -> bool:
        self._state = state  # also of a broken file, which is logged once
        try:
            self.keys = self._read()
        except KeyFileError as error:
            logger.warning("%s The keys stay as they were.", error)
            return False
        logger.info("read %d keys from %s", len(self.keys), self._path)
        return True

    def _state_now(self) -> tuple[int, ...]:
        try:
            status = self._path.stat()
        except OSError:
            return ()
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _read(self) -> tuple[str, ...]:
        try:
            lines = [_COMMENT.sub("", line) for line in self._text().splitlines()]
            keys = check_keys(tuple(key.strip() for line in lines for key in line.split(",") if key.strip()))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise KeyFileError(f"API_KEYS_FILE={self._path}: {reason}.") from None
        if not keys:
            raise KeyFileError(f"API_KEYS_FILE={self._path}: the file has no key; write one in a line.")
        return keys

    def _text(self) -> str:
        status = self._path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            raise ValueError(f"a file of up to {_MAX_BYTES:,} bytes is expected")
        try:
            return self._path.read_text("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError("the file is not text in UTF-8") from None
