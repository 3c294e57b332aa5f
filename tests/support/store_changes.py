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


def before_each_change(store: Path, act: Callable[[tuple[str, ...]], None]) -> None:
    """Call `act`, before each change that this process makes to a file or folder in `store`, with its paths in there."""

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        paths = changed_by(event, arguments)
        if any(path.startswith(str(store / MODEL_NAME)) for path in paths):
            act(tuple(path.removeprefix(f"{store}/") for path in paths))

    sys.addaudithook(on_event)


def at_change(store: Path, change: int | Literal["last"], act: Callable[[], None]) -> None:
    """Call `act` before the change of that number, of which the last renames a file to `latest`."""
    number = 0

    def on_change(paths: tuple[str, ...]) -> None:
        nonlocal number
        number += 1
        if change == number or (change == "last" and paths[-1] == f"{MODEL_NAME}/latest"):
            act()

    before_each_change(store, on_change)


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


def add_and_note_changes(store: Path, made: Path, changes: Path) -> None:
    """Add the version in `made` to `store`, and write the paths of each change into `changes`, a line each."""
    from training.store import add

    BentoMLContainer.model_store_dir.set(str(store))
    noted: list[str] = []
    before_each_change(store, lambda paths: noted.append(" ".join(paths)))
    add(made)
    changes.write_text("\n".join(noted))


def write(store: Path, command: Literal["add", "rollback"], made: Path, hook: str, number: int, said: Path) -> None:
    """Add the version in `made` to `store`, or roll back to it, with a hook before this process's change of that number.

    Ends with 130 if it was interrupted, and with 1 and a sentence in `said` if the store could not be written to.
    """
    from training import signals
    from training.store import StoreError, add, rollback

    BentoMLContainer.model_store_dir.set(str(store))
    signals.listen()
    at_change(store, number, HOOKS[hook])
    try:
        add(made) if command == "add" else rollback(made.name)
    except KeyboardInterrupt:
        sys.exit(130)
    except StoreError as error:
        said.write_text(str(error))
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
