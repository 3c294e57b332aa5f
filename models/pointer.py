"""The pointer `latest`: the version that it names, those that it named before, and what is served where it is damaged.

Its history is a file beside the folder of the versions, where BentoML lists folders alone. A line is `+VERSION`, or `-VERSION`
for one that was rolled back from; all have one length, so that the file can be changed on a full disk.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from models.card import CARD_FILE, ModelCard
from models.digits import MODEL_NAME

LATEST = f"{MODEL_NAME}:latest"

# As BentoML allows them, so that no damaged pointer leads out of the store.
_VERSION = re.compile(r"[a-z0-9][a-z0-9._-]*")
_ROLLED_BACK_FROM = {"+": False, "-": True}

History = dict[str, bool]
"""The versions that `latest` was made to name, the last one last, and of each whether it was rolled back from."""


def versions_folder() -> Path:
    """Return the folder in BentoML's store that has one folder for each version, and `latest`."""
    from bentoml._internal.configuration.containers import BentoMLContainer  # the public API names no folder

    return Path(BentoMLContainer.model_store.get()._path) / MODEL_NAME


def latest_file(versions: Path) -> Path:
    """Return the file that has the name of the version."""
    return versions / "latest"


def history_file(versions: Path) -> Path:
    """Return the file that has a line for each version that was named."""
    return versions.with_name(f"{versions.name}.history")


def named_by_latest(versions: Path) -> str | None:
    """Return the version that `latest` names, or None where it cannot be read: BentoML empties the file before it writes."""
    version = _text(latest_file(versions)).strip()
    return version if _VERSION.fullmatch(version) else None


def read_history(versions: Path) -> History:
    """Return what was recorded; nothing where no program has recorded anything, or where that cannot be read."""
    lines = _text(history_file(versions)).split()
    return {
        line[1:]: _ROLLED_BACK_FROM[line[0]] for line in lines if line[0] in _ROLLED_BACK_FROM and _VERSION.fullmatch(line[1:])
    }


def history_text(history: History) -> str:
    """Return what the history's file says."""
    return "".join(f"{'-' if rolled_back_from else '+'}{version}\n" for version, rolled_back_from in history.items())


def history_of_present(versions: Path) -> History:
    """Return the history of what is in the store still, with what `latest` names now, whoever made it name that."""
    history = read_history(versions)
    if latest := named_by_latest(versions):
        history.setdefault(latest, False)
    return {version: mark for version, mark in history.items() if (versions / version).is_dir()}


def named(history: History, version: str) -> History:
    """Return `history` after `latest` was made to name `version`."""
    return {each: mark for each, mark in history.items() if each != version} | {version: False}


def rolled_back(history: History, latest: str | None, version: str) -> History:
    """Return `history` after a rollback from `latest` to `version`, which what was named after that does not survive either."""
    names = list(history)
    later = {latest, *(names[names.index(version) :] if version in history else ())}
    return {each: mark or each in later for each, mark in history.items()} | {version: False}


def _text(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text()
    return ""


def fallbacks(versions: Path) -> Iterator[str]:
    """Yield what may be served where the version that `latest` names cannot be: best first, none of it proved to be whole.

    First what `latest` named before, newest first, without those that were rolled back from. Then, for stores whose
    versions are older than their history, what was published before all of that; nothing where it is not known when that was.
    """
    latest, history = named_by_latest(versions), history_of_present(versions)
    named = [version for version, rolled_back_from in history.items() if not rolled_back_from]
    # What stands after it was about to be named by a run that has died.
    before = named[: named.index(latest)] if latest in named else named
    yield from reversed(before)
    created = {folder.name: time for folder in _folders(versions) if (time := _created(folder))}
    known = [created[version] for version in (latest, *before) if version in created]
    older = [version for version, time in created.items() if known and time < min(known) and version not in history]
    yield from sorted(older, key=created.__getitem__, reverse=True)


def _folders(versions: Path) -> list[Path]:
    with suppress(OSError):
        return [card.parent for card in versions.glob(f"*/{CARD_FILE}")]
    return []


def _created(folder: Path) -> datetime | None:
    with suppress(OSError, ValueError):
        card = ModelCard.read(folder)
        return card.created if card.version == folder.name else None
    return None
