"""Removing old versions from the store, but none that is served or would be served next."""

import shutil
from pathlib import Path

from models import pointer
from training.store import problem_of_served, published_versions, served_version
from training.store_writing import StoreError, writing


def removable(keep: int) -> list[str]:
    """Return the versions, oldest first, that are neither among the `keep` newest whole ones nor needed.

    Needed are the served one and the one that would be served if that were damaged. A version whose card cannot be read, as
    that of a newer schema cannot, is not removed either.

    Raises:
        StoreError: what `latest` names cannot be served, so that nobody knows which versions are needed.
    """
    if problem := problem_of_served():
        raise StoreError(f"{problem}; nothing is removed before `rollback` or a publication has put that right.")
    listed = [entry for entry in published_versions() if entry.card]
    whole = [entry.version for entry in listed if not entry.problem]
    before = (version for version in pointer.fallbacks(pointer.versions_folder()) if version in whole)
    kept = {*whole[-keep:], served_version(), next(before, None)}
    return [entry.version for entry in listed if entry.version not in kept]


def prune(keep: int, *, dry_run: bool = False) -> dict[str, int]:
    """Remove the removable versions, or with `dry_run` none, and return how many bytes each of them takes.

    Raises:
        StoreError: as `removable`, or the store cannot be written to.
    """
    if dry_run:
        return {version: _size(pointer.versions_folder() / version) for version in removable(keep)}
    removed: dict[str, int] = {}
    with writing() as (versions, begun):
        for version in removable(keep):
            size = _size(versions / version)
            (versions / version).rename(begun)  # at once, since half a version would end `bentoml models list`
            shutil.rmtree(begun)
            removed[version] = size
    return removed


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
