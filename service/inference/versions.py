"""The versions in the store, as their cards describe them."""

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, Field

from models.card import CARD_FILE, ModelCard
from service.inference.loaded_model import LoadedModel

MAX_LISTED = 50


class VersionSummary(BaseModel):
    """What the card of one version says of it in short."""

    version: str
    created_at: str = Field(description="in ISO 8601")
    recipe: str
    architecture: str
    test_accuracy: float
    coverage: float | None = Field(description="share of the test digits that its thresholds accept; null where it is unknown")
    served: bool


class VersionList(BaseModel):
    """The version that is served, and the newest beside it that the store has whole cards of; the newest comes first."""

    versions: list[VersionSummary] = Field(max_length=MAX_LISTED)
    served: str
    is_fallback: bool = Field(
        description="whether `served` is an earlier version, because what `latest` names could not be served"
    )


def list_versions(served: LoadedModel, *, is_fallback: bool = False) -> VersionList:
    """Return `served`, also where its folder is gone, and the newest versions beside it. Reads files, so use a thread."""
    cards = [served.card, *_newest_cards(served.folder.parent, served.card.version)]
    cards.sort(key=lambda card: card.created, reverse=True)
    summaries = [_summary(card, card is served.card) for card in cards]
    return VersionList(versions=summaries, served=served.card.version, is_fallback=is_fallback)


def _newest_cards(folder: Path, besides: str) -> Iterator[ModelCard]:
    written = sorted(((time, path) for time, path in _card_files(folder) if path.parent.name != besides), reverse=True)
    cards = (_read_card(path.parent, time) for time, path in written)
    return islice(filter(None, cards), MAX_LISTED - 1)


def _card_files(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.glob(f"*/{CARD_FILE}"):
        with suppress(OSError):  # removed in the meantime
            yield path.stat().st_mtime_ns, path


@lru_cache(maxsize=2 * MAX_LISTED)
def _read_card(folder: Path, written: int) -> ModelCard | None:
    """Return the card in `folder`, which was `written` then, or None for one whose version would not be served either."""
    with suppress(OSError, ValueError):
        card = ModelCard.read(folder)
        return card if card.version == folder.name and "name" in card.recipe else None


def _summary(card: ModelCard, served: bool) -> VersionSummary:
    return VersionSummary(
        version=card.version,
        created_at=card.created.isoformat(),
        recipe=str(card.recipe["name"]),
        architecture=card.architecture,
        test_accuracy=card.test.accuracy,
        coverage=card.acceptance.test.coverage if card.acceptance else None,
        served=served,
    )
