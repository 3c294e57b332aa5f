"""Which media type to answer with: the header Accept, as RFC 9110 defines it in section 12.5.1."""

import re
from collections.abc import Sequence

# Quoted strings may hold commas and semicolons; only parameters that are ignored here have them.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
_QUALITY = re.compile(r"0?\.\d+|0\.?|1(\.0*)?")


def preferred(accept: str, offered: Sequence[str]) -> str:
    """Return the media type of `offered` with the highest quality in `accept`; the first where none is acceptable.

    Of two with the same quality, one that is named goes before one that a wildcard includes.
    """
    if accept in ("", "*/*"):
        return offered[0]
    if accept in offered:
        return accept
    qualities = _qualities(accept)
    return max(offered, key=lambda media_type: _rank(media_type, qualities))


def _rank(media_type: str, qualities: dict[str, float]) -> tuple[float, int]:
    """Return the quality that the most specific matching range gives to `media_type`, and how specific that range is."""
    ranges = ("*/*", media_type.partition("/")[0] + "/*", media_type)
    for specificity in (2, 1, 0):
        if (quality := qualities.get(ranges[specificity])) is not None:
            return (quality, specificity) if quality else (0.0, 0)
    return 0.0, 0


def _qualities(accept: str) -> dict[str, float]:
    """Return the quality of each media range, in lower case and without its parameters; malformed ones are left out."""
    qualities: dict[str, float] = {}
    for element in _QUOTED.sub("", accept).lower().split(","):
        media_range, *parameters = ("".join(part.split()) for part in element.split(";"))
        quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        if _QUALITY.fullmatch(quality):
            qualities[media_range] = max(float(quality), qualities.get(media_range, 0.0))
    return qualities
