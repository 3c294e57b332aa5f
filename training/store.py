"""The versions in the BentoML model store: which there are, which one is served, how to go back."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models.card import ModelCard
from models.digits import MODEL_NAME
from training import interruption

_LATEST = f"{MODEL_NAME}:latest"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class StoreError(ValueError):
    """The store has no such version, or not a whole one, or cannot be written to."""


def _versions_folder() -> Path:
    """Return the folder in the store that has one folder for each version, and `latest`."""
    from bentoml._internal.configuration.containers import BentoMLContainer  # the public API names no folder

    return Path(BentoMLContainer.model_store_dir.get()) / MODEL_NAME


def _place() -> str:
    return f"the model store at {_versions_folder().parent}"


def served_version() -> str | None:
    """Return the version that `digit-classifier:latest` means, or None."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (_versions_folder() / "latest").read_text().strip() or None
    return None


def served_card() -> ModelCard | None:
    """Return the card of the served version, or None where there is none that can be read."""
    version = served_version()
    with contextlib.suppress(ValueError, OSError):
        return ModelCard.read(_versions_folder() / version) if version else None
    return None


def problem_of_served() -> str | None:
    """Say why what `digit-classifier:latest` names cannot be served; None where it can, or where the store is empty."""
    version = served_version()
    if version is None:
        return f"{_LATEST} names no version, but there are some" if _version_folders() else None
    folder = _versions_folder() / version
    if not folder.is_dir():
        return f"{_LATEST} names {version}, which is not in the store"
    damage = _damage_of(folder)
    return damage and f"{_LATEST} names {version}, which cannot be served: {damage.removesuffix('.')}"


def _damage_of(folder: Path) -> str | None:
    """Say which file of the version in `folder` is not what was published, or None."""
    try:
        ModelCard.read(folder).check_files(folder)
    except (ValueError, OSError) as error:
        return str(error)
    return None


def _make_served(version: str) -> None:
    # By rename: a reader sees the old version or the new one, never the empty file that BentoML's own writing passes.
    new = _versions_folder() / ".latest.new"
    try:
        new.write_text(version)
        new.replace(_versions_folder() / "latest")
    except OSError:
        new.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def publishing(version: str) -> Iterator[None]:
    """Make `version`, which the block writes, the served one; undo all of it, and nothing else, where the block fails.

    Signals are held back from here to the end of the run, since what they interrupt may be the undoing. BentoML cleans
    up after an `Exception`, not after all else; and what others publish or roll back meanwhile is theirs.

    Raises:
        StoreError: the store cannot be written to.
    """
    interruption.hold_back()
    folder, served = _versions_folder(), served_version()
    was_there = folder.is_dir()
    with writing_to(_place()):
        try:
            if not _is_read_by_bentoml(served):  # BentoML cannot publish beside a `latest` that names no such version
                (folder / "latest").unlink(missing_ok=True)
            yield
            if interruption.has_come():
                raise KeyboardInterrupt
            _make_served(version)  # BentoML goes by the times of creation, and another run may have begun later
        except BaseException:
            _undo(version, served)
            if not was_there:
                with contextlib.suppress(OSError):  # not there, or not empty: another run has published
                    folder.rmdir()
            raise


def _is_read_by_bentoml(version: str | None) -> bool:
    import bentoml

    try:
        return bool(version and bentoml.models.get(f"{MODEL_NAME}:{version}"))
    except Exception:  # of a damaged description, BentoML raises what its parsers do
        return False


def _undo(version: str, served: str | None) -> None:
    shutil.rmtree(_versions_folder() / version, ignore_errors=True)
    if served_version() not in (version, None):
        return  # another run's, or what it was
    if served is None:
        (_versions_folder() / "latest").unlink(missing_ok=True)
    else:
        _make_served(served)


@contextlib.contextmanager
def writing_to(place: str) -> Iterator[None]:
    """Let the block, which leaves the store as it was where it fails, write files to `place`.

    Raises:
        StoreError: the block raised an OSError; the message names `place`.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(f"{_reason(error, place)}; nothing was changed in the store.") from None


def _reason(error: OSError, place: str) -> str:
    # copytree raises an OSError without a number: a list with the two paths and the words for each file.
    text = error.args[0][0][2] if isinstance(error, shutil.Error) else str(error)
    if error.errno in _FULL or any(f"[Errno {number}]" in text for number in _FULL):
        return f"no space left on the disk ({place})"
    return f"{place} cannot be written to: {text}"


def _version_folders() -> set[Path]:
    folder = _versions_folder()
    return {path for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()


@dataclass(frozen=True)
class PublishedVersion:
    """A version in the store: its card, or the reason why it cannot be read."""

    version: str
    served: bool
    card: ModelCard | None
    problem: str | None


def published_versions() -> list[PublishedVersion]:
    """Return what is in the store, oldest first; what cannot be read comes before that."""
    served = served_version()
    listed = [_read_version(folder, folder.name == served) for folder in sorted(_version_folders())]
    return sorted(listed, key=lambda entry: entry.card.created if entry.card else datetime.min.replace(tzinfo=UTC))


def _read_version(folder: Path, served: bool) -> PublishedVersion:
    try:
        return PublishedVersion(folder.name, served, ModelCard.read(folder), None)
    except (ValueError, OSError) as error:
        return PublishedVersion(folder.name, served, None, str(error))


def rollback(tag: str | None = None) -> str:
    """Make `tag` the served version, and return its tag.

    Without one, take the version published before the served one, or where that cannot be served, the newest whole one.

    Raises:
        StoreError: there is no such version, its files are not those that were published, or the store cannot be
            written to.
    """
    if tag is not None:
        version = _existing_version(tag)
    else:
        version = _newest_whole_version() if problem_of_served() else _version_before_served()
    if damage := _damage_of(_versions_folder() / version):
        raise StoreError(damage)
    interruption.hold_back()
    with writing_to(_place()):
        _make_served(version)
    return f"{MODEL_NAME}:{version}"


def _version_before_served() -> str:
    whole = [entry for entry in published_versions() if entry.card]
    served = next((place for place, entry in enumerate(whole) if entry.served), None)
    if not served:
        raise StoreError("no version was published before the one served now; `list` shows what there is.")
    return whole[served - 1].version


def _newest_whole_version() -> str:
    for entry in reversed(published_versions()):
        if not _damage_of(_versions_folder() / entry.version):
            return entry.version
    raise StoreError(f"{problem_of_served()}, and no version in the store is whole; `list` shows what there is.")


def _existing_version(tag: str) -> str:
    name, _, version = tag.rpartition(":")
    known = [folder.name for folder in sorted(_version_folders())]
    if name in ("", MODEL_NAME) and version in known:
        return version
    choices = ", ".join(f"{MODEL_NAME}:{each}" for each in known) or "none"
    if tag in ("latest", _LATEST):
        raise StoreError(f"{tag} is not a version, but names the one that is served; there are: {choices}.")
    raise StoreError(f"{tag} is not in the store; there are: {choices}.")
