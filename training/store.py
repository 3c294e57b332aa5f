"""The versions in the BentoML model store: which there are, which one is served, how to go back."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models.card import ModelCard
from models.digits import MODEL_NAME


class StoreError(ValueError):
    """The store has no such version, or not a whole one."""


def _versions_folder() -> Path:
    """Return the folder in the store that has one folder for each version, and `latest`."""
    from bentoml._internal.configuration.containers import BentoMLContainer  # the public API names no folder

    return Path(BentoMLContainer.model_store_dir.get()) / MODEL_NAME


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


def _make_served(version: str) -> None:
    # By rename: a reader sees the old version or the new one, never the empty file that BentoML's own writing passes.
    new = _versions_folder() / ".latest.new"
    new.write_text(version)
    new.replace(_versions_folder() / "latest")


@contextlib.contextmanager
def publishing(version: str) -> Iterator[None]:
    """Make `version`, which the block writes, the served one; undo all of it, and nothing else, where the block fails.

    BentoML cleans up after an `Exception`, not after Ctrl-C; and what others publish or roll back meanwhile is theirs.
    """
    latest, served = _versions_folder() / "latest", served_version()
    if served is None:
        latest.unlink(missing_ok=True)  # BentoML cannot publish beside one that it cannot read
    try:
        yield
        _make_served(version)  # BentoML goes by the times of creation, and another run may have begun later
    except BaseException:
        shutil.rmtree(_versions_folder() / version, ignore_errors=True)
        if served is not None and served_version() in (version, None):
            _make_served(served)
        elif served_version() in (version, None):
            latest.unlink(missing_ok=True)
        raise


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
    """Make `tag`, or the version published before the served one, the served one; return its tag.

    Raises:
        StoreError: there is no such version, or its files are not those that were published.
    """
    version = _version_before_served() if tag is None else _existing_version(tag)
    folder = _versions_folder() / version
    try:
        card = ModelCard.read(folder)
        card.check_files(folder)
    except ValueError as error:
        raise StoreError(str(error)) from None
    _make_served(version)
    return card.tag


def _version_before_served() -> str:
    whole = [entry for entry in published_versions() if entry.card]
    served = next((place for place, entry in enumerate(whole) if entry.served), None)
    if not served:
        raise StoreError("no version was published before the one served now; `list` shows what there is.")
    return whole[served - 1].version


def _existing_version(tag: str) -> str:
    name, _, version = tag.rpartition(":")
    known = [folder.name for folder in sorted(_version_folders())]
    if name not in ("", MODEL_NAME) or version not in known:
        choices = ", ".join(f"{MODEL_NAME}:{each}" for each in known) or "none"
        raise StoreError(f"{tag} is not in the store; there are: {choices}.")
    return version
