"""The versions in the BentoML model store: list them, add one, roll back."""

import contextlib
import errno
import fcntl
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from models.card import BENTOML_FILE, CARD_FILE, ModelCard
from models.digits import MODEL_NAME
from training import signals

_LATEST = f"{MODEL_NAME}:latest"
_NEW_LATEST, _UNFINISHED_CARD = ".latest.{}", f"{CARD_FILE}.unfinished"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class StoreError(ValueError):
    """The store has no such version, or not a whole one, or cannot be written to."""


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
    return _read_version(version).card if version else None


def problem_of_served() -> str | None:
    """Say why what `digit-classifier:latest` names cannot be served; None where it can, or where the store is empty."""
    version = served_version()
    if version is None:
        return f"{_LATEST} names no version, but there are some" if _versions() else None
    if version not in _versions():
        return f"{_LATEST} names {version}, which is not in the store"
    problem = _read_version(version).problem
    return problem and f"{_LATEST} names {version}, which cannot be served: {problem.removesuffix('.')}"


def add(made: Path) -> None:
    """Copy the version in `made`, a folder of its name, into the store, and make it the served one.

    A run that is killed meanwhile leaves what is served unchanged, and the next run that writes removes its unfinished
    folder, which has no card.

    Raises:
        StoreError: the store cannot be written to; what is served is unchanged.
    """
    with _writing() as (versions, begun):
        folder = versions / made.name
        # Where one version has no description BentoML lists none, so its folder appears with it, in one step; and with
        # its card under another name, which marks it as unfinished.
        begun.mkdir()
        shutil.copy(made / BENTOML_FILE, begun)
        shutil.copy(made / CARD_FILE, begun / _UNFINISHED_CARD)
        begun.rename(folder)
        shutil.copytree(made, folder, ignore=shutil.ignore_patterns(BENTOML_FILE, CARD_FILE), dirs_exist_ok=True)
        new_latest = _written_latest(versions, made.name)
        signals.defer()  # else a run could end as interrupted after it has published
        (folder / _UNFINISHED_CARD).rename(folder / CARD_FILE)
        new_latest.replace(versions / "latest")  # so that a reader sees the old version or the new one


@contextlib.contextmanager
def _writing() -> Iterator[tuple[Path, Path]]:
    """Let the block write while no other run does; before and after it, remove what is unfinished.

    Yields the folder of the versions, and one to begin a version in, on the same disk but not in BentoML's sight. The
    kernel releases the lock of a process that dies, so whoever has it finds nothing that others are still writing.
    """
    versions = _versions_folder()
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
    for card in versions.glob(f"*/{_UNFINISHED_CARD}"):
        for inner in filter(Path.is_dir, card.parent.iterdir()):
            shutil.rmtree(inner)
        card.parent.rename(begun)  # it goes as it came: with its description
        shutil.rmtree(begun)
    for new in versions.glob(_NEW_LATEST.format("*")):
        new.unlink()


def _written_latest(versions: Path, version: str) -> Path:
    """Write what is to become `latest`, under a name of its own for each run."""
    path = versions / _NEW_LATEST.format(uuid4().hex)
    path.write_text(version)
    return path


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


def _versions() -> list[str]:
    folder = _versions_folder()
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


@dataclass(frozen=True)
class PublishedVersion:
    """A version in the store: its card, if that can be read, and the reason why it cannot be served, if there is one."""

    version: str
    served: bool
    card: ModelCard | None
    problem: str | None


def published_versions() -> list[PublishedVersion]:
    """Return what is in the store, oldest first; what cannot be read comes before that."""
    listed = [_read_version(version) for version in _versions()]
    return sorted(listed, key=lambda entry: entry.card.created if entry.card else datetime.min.replace(tzinfo=UTC))


def _read_version(version: str) -> PublishedVersion:
    folder, card, problem = _versions_folder() / version, None, None
    try:
        card = ModelCard.read(folder)
        card.check_files(folder)
    except (ValueError, OSError) as error:
        problem = str(error)
    return PublishedVersion(version, version == served_version(), card, problem)


def rollback(tag: str | None = None) -> str:
    """Make `tag` the served version, and return its tag.

    Without one, take the version published before the served one, or where that cannot be served, the newest whole one.

    Raises:
        StoreError: there is no such version, it is not as it was published, or the store cannot be written to.
    """
    version = _existing_version(tag) if tag is not None else _version_to_go_back_to()
    if problem := _read_version(version).problem:
        raise StoreError(problem)
    with _writing() as (versions, _):
        new_latest = _written_latest(versions, version)
        signals.defer()
        new_latest.replace(versions / "latest")
    return f"{MODEL_NAME}:{version}"


def _version_to_go_back_to() -> str:
    published = [entry for entry in published_versions() if entry.card]
    if problem := problem_of_served():
        for entry in reversed(published):
            if not entry.problem:
                return entry.version
        raise StoreError(f"{problem}, and no version in the store is whole; `list` shows what there is.")
    served = next((place for place, entry in enumerate(published) if entry.served), None)
    if not served:
        raise StoreError("no version was published before the one served now; `list` shows what there is.")
    return published[served - 1].version


def _existing_version(tag: str) -> str:
    name, _, version = tag.rpartition(":")
    if name in ("", MODEL_NAME) and version in _versions():
        return version
    choices = ", ".join(f"{MODEL_NAME}:{each}" for each in _versions()) or "none"
    problem = "is not a version, but names the one that is served" if tag in ("latest", _LATEST) else "is not in the store"
    raise StoreError(f"{tag} {problem}; there are: {choices}.")
