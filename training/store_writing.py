"""Writing to the model store: by one run at a time, which leaves nothing unfinished, and says in a sentence why it failed."""

import contextlib
import errno
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from models import pointer
from models.card import CARD_FILE
from models.digits import MODEL_NAME

NEW_LATEST, UNFINISHED_CARD = ".latest.{}", f"{CARD_FILE}.unfinished"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class StoreError(ValueError):
    """The store has no such version, or not a whole one, or cannot be written to."""


@contextlib.contextmanager
def writing() -> Iterator[tuple[Path, Path]]:
    """Let the block write while no other run does; before and after it, remove what is unfinished.

    Yields the folder of the versions, and one to begin a version in, on the same disk but not in BentoML's sight. The
    kernel releases the lock of a process that dies, so whoever has it finds nothing that others are still writing.
    """
    versions = pointer.versions_folder()
    begun = versions.with_name(f"{MODEL_NAME}.begun")
    with writing_to(f"the model store at {versions.parent}"):
        versions.mkdir(parents=True, exist_ok=True)
        # Never removed, or two runs could each lock a file of this name; BentoML removes `versions` with its last one.
        with versions.with_name(f"{MODEL_NAME}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _remove_unfinished(versions, begun)
            try:
                yield versions, begun
            finally:
                with contextlib.suppress(OSError):  # else what is published would be called a failure
                    _remove_unfinished(versions, begun)


def _remove_unfinished(versions: Path, begun: Path) -> None:
    shutil.rmtree(begun, ignore_errors=True)
    for card in versions.glob(f"*/{UNFINISHED_CARD}"):
        for inner in filter(Path.is_dir, card.parent.iterdir()):
            shutil.rmtree(inner)
        card.parent.rename(begun)  # it goes as it came: with its description
        shutil.rmtree(begun)
    for new in versions.glob(NEW_LATEST.format("*")):
        new.unlink()


def written(versions: Path, text: str) -> Path:
    """Write what is to become `latest` or its history, under a name of its own for each run."""
    path = versions / NEW_LATEST.format(uuid4().hex)
    path.write_text(text)
    return path


def overwrite(file: Path, versions: Path, text: str) -> None:
    """Replace what is in `file` with `text` in one step, or on a full disk, where the file is, in the blocks that it has."""
    try:
        new = written(versions, text)
    except OSError as error:
        if error.errno not in _FULL or not file.exists():
            raise
        with file.open("r+") as blocks:
            blocks.write(text.ljust(file.stat().st_size, "\n"))  # at once: readers strip what is blank
    else:
        new.replace(file)


@contextlib.contextmanager
def writing_to(place: str) -> Iterator[None]:
    """Let the block write files to `place`, and leave what is served unchanged where it fails.

    Raises:
        StoreError: the block raised an OSError; the message names `place`.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(f"{_reason(error, place)}; what is served is unchanged.") from None


def _reason(error: OSError, place: str) -> str:
    # copytree raises an OSError without a number: a list with the two paths and the words for each file.
    text = error.args[0][0][2] if isinstance(error, shutil.Error) else str(error)
    if any(f"[Errno {number}]" in text for number in _FULL):
        return f"no space left on the disk ({place})"
    return f"{place} cannot be written to: {text}"
