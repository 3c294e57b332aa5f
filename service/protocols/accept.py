"""Which of the media types that can be answered a client prefers."""

from collections.abc import Sequence


def preferred(accept: str, offered: Sequence[str]) -> str:
    """Return that of the `offered` media types which `accept` likes best; the first if it knows none."""
    best, best_quality = offered[0], 0.0
    for choice in accept.split(",") if accept not in ("", "*/*") else ():
        media_type, quality = choice.partition(";")[0].strip().lower(), _quality(choice)
        if media_type in offered and quality > best_quality:
            best, best_quality = media_type, quality
    return best


def _quality(choice: str) -> float:
    _, _, value = choice.replace(" ", "").lower().partition(";q=")
    try:
        return float(value.partition(";")[0] or 1)
    except ValueError:
        return 0.0
