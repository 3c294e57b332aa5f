"""The versions in the BentoML model store: list them, add one, roll back."""

import contextlib
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models import pointer
from models.card import BENTOML_FILE, CARD_FILE, ModelCard
from models.digits import MODEL_NAME
from models.pointer import LATEST, versions_folder
from training import signals
from training.store_writing import UNFINISHED_CARD, StoreError, overwrite, writing, written


def served_version() -> str | None:
    """Return the version that `digit-classifier:latest` means, or None."""
    return pointer.named_by_latest(versions_folder())


def served_card() -> ModelCard | None:
    """Return the card of the served version, or None where there is none that can be read."""
    version = served_version()
    return _read_version(version).card if version else None


def problem_of_served() -> str | None:
    """Say why what `digit-classifier:latest` names cannot be served; None where it can, or where the store is empty."""
    version = served_version()
    if version is None:
        return f"{LATEST} names no version, but there are some" if _versions() else None
    if version not in _versions():
        return f"{LATEST} names {version}, which is not in the store"
    problem = _read_version(version).problem
    return problem and f"{LATEST} names {version}, which cannot be served: {problem.removesuffix('.')}"


def add(made: Path) -> None:
    """Copy the version in `made`, a folder of its name, into the store, and make it the served one.

    A run that is killed meanwhile leaves what is served unchanged, and the next run that writes removes its unfinished
    folder, which has no card.

    Raises:
        StoreError: the store cannot be written to; what is served is unchanged.
    """
    with writing() as (versions, begun):
        folder = versions / made.name
        # Where one version has no description BentoML lists none, so its folder appears with it, in one step; and with
        # its card under another name, which marks it as unfinished.
        begun.mkdir()
        shutil.copy(made / BENTOML_FILE, begun)
        shutil.copy(made / CARD_FILE, begun / UNFINISHED_CARD)
        begun.rename(folder)
        shutil.copytree(made, folder, ignore=shutil.ignore_patterns(BENTOML_FILE, CARD_FILE), dirs_exist_ok=True)
        history = written(versions, pointer.history_text(pointer.named(pointer.history_of_present(versions), made.name)))
        new_latest = written(versions, made.name)
        history.replace(pointer.history_file(versions))
        signals.defer()  # else a run could end as interrupted after it has published
        (folder / UNFINISHED_CARD).rename(folder / CARD_FILE)
        new_latest.replace(pointer.latest_file(versions))  # so that a reader sees the old version or the new one


def _versions() -> list[str]:
    folder = versions_folder()
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
    folder, card, problem = versions_folder() / version, None, None
    try:
        card = ModelCard.read(folder)
        card.check_files(folder)
        if card.version != version:
            raise ValueError(f"the card in {folder} is that of {card.tag}.")
    except (ValueError, OSError) as error:
        problem = str(error)
    return PublishedVersion(version, version == served_version(), card, problem)


def rollback(tag: str | None = None) -> str:
    """Make `tag` the served version, and return its tag.

    Without one, take what `latest` named before; where what it names now cannot be served, the newest of those that can be.

    Raises:
        StoreError: there is no such version, it is not as it was published, or the store cannot be written to.
    """
    version = _existing_version(tag) if tag is not None else _version_to_go_back_to()
    return _name(version, is_rollback=True)


def serve(version: str) -> str:
    """Make `version` the served one, as if it had been published now, and return its tag. Raises as `rollback`."""
    return _name(version, is_rollback=False)


def record_served() -> None:
    """Begin the history of a store that has none of what `latest` names; try it at least."""
    version = served_version()
    if version and version not in pointer.read_history(versions_folder()):
        with contextlib.suppress(StoreError):
            serve(version)


def _name(version: str, *, is_rollback: bool) -> str:
    if problem := _read_version(version).problem:
        raise StoreError(problem)
    with writing() as (versions, _):
        history = pointer.history_of_present(versions)
        after = pointer.rolled_back(history, served_version(), version) if is_rollback else pointer.named(history, version)
        signals.defer()
        # First, so that there is no moment in which the version that is rolled back from would be fallen back on.
        overwrite(pointer.history_file(versions), versions, pointer.history_text(after))
        overwrite(pointer.latest_file(versions), versions, version)
    return f"{MODEL_NAME}:{version}"


def _version_to_go_back_to() -> str:
    before = pointer.fallbacks(versions_folder())
    problem = problem_of_served()
    if problem is None:
        if version := next(before, None):
            return version
        raise StoreError("no version was published before the one served now; `list` shows what there is.")
    whole = _whole()
    newest = () if pointer.read_history(versions_folder()) else reversed(whole)
    for version in (*before, *newest):
        if version in whole:
            return version
    raise StoreError(
        f"{problem}, and no version in the store is whole but what was rolled back from; `list` shows what there is."
    )


def version_to_serve_instead(recipe: str | None) -> str | None:
    """Return the version that is to be served where `latest` cannot be, or where one of `recipe` is asked for; None: train one.

    That is what a service falls back on; of a recipe, else the newest whole version.

    Raises:
        StoreError: there are whole versions, but it is not known which of them `latest` named before.
    """
    whole = _whole()
    for version in (*pointer.fallbacks(versions_folder()), *(reversed(whole) if recipe else ())):
        if version in whole and recipe in (None, whole[version].recipe["name"]):
            return version
    if whole and not recipe:
        choices = ", ".join(whole)
        raise StoreError(f"{problem_of_served()}, and it is not known what it named before; `rollback` to one of: {choices}.")
    return None


def _whole() -> dict[str, ModelCard]:
    """Return the cards of all whole versions, oldest first, without those that were rolled back from."""
    history = pointer.read_history(versions_folder())
    listed = (entry for entry in published_versions() if not history.get(entry.version))
    return {entry.version: entry.card for entry in listed if entry.card and not entry.problem}


def _existing_version(tag: str) -> str:
    name, _, version = tag.rpartition(":")
    if name in ("", MODEL_NAME) and version in _versions():
        return version
    choices = ", ".join(f"{MODEL_NAME}:{each}" for each in _versions()) or "none"
    problem = "is not a version, but names the one that is served" if tag in ("latest", LATEST) else "is not in the store"
    raise StoreError(f"{tag} {problem}; there are: {choices}.")
