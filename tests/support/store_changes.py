"""What happens to a process in the middle of writing to a store: it dies, is interrupted, waits, or finds the disk full.

`python -m tests.support.store_changes HOOK@CHANGE …` runs the training's command line with such a hook.
"""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from bentoml._internal.configuration.containers import BentoMLContainer

from models.digits import MODEL_NAME

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def at_change(store: Path, change: int | Literal["last"], act: Callable[[], None]) -> None:
    """Let `act` come before the change of that number which this process makes to a file or folder in `store`.

    The last one renames a file to `latest`.
    """
    number = 0

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal number
        paths = changed_by(event, arguments)
        if any(path.startswith(str(store / MODEL_NAME)) for path in paths):
            number += 1
            is_last = event == "os.rename" and paths[1] == str(store / MODEL_NAME / "latest")
            if change == number or (change == "last" and is_last):
                act()

    sys.addaudithook(on_event)


def changed_by(event: str, arguments: tuple[Any, ...]) -> list[str]:
    """Return the paths that an audited event changes (https://docs.python.org/3/library/audit_events.html)."""
    if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR) and isinstance(arguments[0], str | Path):
        return [str(arguments[0])]
    if event == "os.rename":
        return [str(path) for path in arguments[:2]]
    if event in ("os.mkdir", "os.remove", "os.rmdir"):
        folder = Path() if arguments[-1] == -1 else Path(f"/proc/self/fd/{arguments[-1]}").readlink()
        return [str(folder / arguments[0])]
    return []


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def be_interrupted() -> None:
    for number in 3 * SIGNALS:
        os.kill(os.getpid(), number)


def find_the_disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def meet_another() -> None:
    """Leave a file in the folder MEETING and wait until `go` is there."""
    meeting = Path(os.environ["MEETING"])
    (meeting / str(os.getpid())).touch()
    while not (meeting / "go").exists():
        time.sleep(0.01)


HOOKS = {each.__name__: each for each in (die, be_interrupted, find_the_disk_full, meet_another)}


def main() -> int:
    """Run the command line with the hooks that the first argument names: `hook@change,…`, a number or `last`."""
    store = Path(os.environ["BENTOML_HOME"]) / "models"
    for hook, _, change in (each.partition("@") for each in sys.argv.pop(1).split(",")):
        at_change(store, change if change == "last" else int(change), HOOKS[hook])
    from training.__main__ import main as run

    return run()


def add_version(store: Path, made: Path, hook: str, number: int, said: Path) -> None:
    """Add the version in `made` to `store`, with something done to this process before its change of that number.

    Ends with 130 if it was interrupted, and with 1 and a sentence in `said` if the store could not be written to.
    """
    from training import signals
    from training.store import StoreError, add

    BentoMLContainer.model_store_dir.set(str(store))
    signals.listen()
    at_change(store, number, HOOKS[hook])
    try:
        add(made)
    except KeyboardInterrupt:
        sys.exit(130)
    except StoreError as error:
        said.write_text(str(error))
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
