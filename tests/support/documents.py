"""The documents, as their readers see them: commands and what these print, tables, links, and the map of the modules."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.project import ROOT

DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks/README.md", ROOT / "data/mnist/README.md"]
)
# The other two say how to measure for a quarter of an hour, and what is in a folder.
EXECUTED = [path for path in DOCUMENTS if path.parent.name in (ROOT.name, "docs")]

TOLERANCE = 0.001
_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?"
# Of a published version, which is another in every run.
_TAG = r"digit-classifier:[a-z0-9]{16}"
_TOKENS = re.compile(rf"(?P<tag>{_TAG})|(?P<number>{_NUMBER})(?P<percent> ?%)?|\s+")


@dataclass(frozen=True)
class Example:
    """A command or a program in a document, and what the document shows that it prints, if it shows that."""

    place: str
    language: str
    code: str
    shown: str | None


def examples() -> list[Example]:
    """Return every command and every Python program of the executed documents, in order."""
    return [example for path in EXECUTED for example in _examples_of(path)]


def _examples_of(path: Path) -> Iterator[Example]:
    text = path.read_text()
    blocks = re.finditer(r"^```(sh|python)\n(.*?)^```\n(?:\n```(?:json|text)\n(.*?)^```\n)?", text, re.DOTALL | re.MULTILINE)
    for language, code, shown, start in ((*block.groups(), block.start()) for block in blocks):
        place = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, start) + 1}"
        commands = [line for line in code.splitlines() if not line.startswith("#")] if language == "sh" else [code]
        yield from (Example(place, language, each, None) for each in commands[:-1])
        yield Example(place, language, commands[-1], shown)


def mismatch(shown: str, printed: str) -> str | None:
    """Say what a document shows that is not `printed`, or return None.

    Numbers may differ by `TOLERANCE`, percentages by as much of 1; an ellipsis stands for any text, a tag for any
    version's, and blanks for any other blanks.
    """
    printed, at = printed.strip(), 0
    parts = [part.strip() for part in shown.split("…")]
    for number, part in enumerate(parts):
        place = _find(part, printed, at, is_first=number == 0, is_last=number == len(parts) - 1)
        if place is None:
            return f"{part}\nis not, or not there, in what was printed:\n{printed}"
        at = place
    return None


def _find(part: str, printed: str, at: int, *, is_first: bool, is_last: bool) -> int | None:
    """Return where `part` ends in `printed`, at or after `at`; the first part begins it, and the last one ends it."""
    pattern, numbers = _pattern(part)
    while match := pattern.search(printed, at):
        if is_first and part and match.start():
            return None
        is_there = not (is_last and part) or match.end() == len(printed)
        if is_there and all(
            abs(_value(a) - _value(b)) <= tolerance for (a, tolerance), b in zip(numbers, match.groups(), strict=True)
        ):
            return match.end()
        at = match.start() + 1
    return None


def _pattern(part: str) -> tuple[re.Pattern[str], list[tuple[str, float]]]:
    """Return a regular expression for `part`, and its numbers with what they may differ by."""
    pattern, numbers, end = "", [], 0
    for token in _TOKENS.finditer(part):
        pattern += re.escape(part[end : token.start()])
        end = token.end()
        if number := token["number"]:
            numbers.append((number, TOLERANCE * (100 if token["percent"] else 1)))
            pattern += rf"(?<![\d.])({_NUMBER})(?!\d){re.escape(token['percent'] or '')}"
        else:
            pattern += _TAG if token["tag"] else r"\s+"
    return re.compile(pattern + re.escape(part[end:])), numbers


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def section(document: str, heading: str) -> str:
    """Return what stands in a document below one of its headings, up to the next of the same level."""
    marks = heading.partition(" ")[0]
    below = f"\n{(ROOT / document).read_text()}".partition(f"\n{heading}\n")[2]
    assert below, f"{document} has no heading {heading!r}"
    return re.split(rf"^{marks} ", below, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all rows of the tables in `text`, without their headings."""
    lines = re.findall(r"^\|(.*)\|$", re.sub(r"^\|.*\|\n\|[-:| ]+\|$", "", text, flags=re.MULTILINE), re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


def quoted(cell: str) -> list[str]:
    """Return what stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def prose(path: Path) -> str:
    """Return a document without its code blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def links(path: Path) -> list[str]:
    """Return where the links and pictures of a document lead to, in this project."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)) if "://" not in target]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def mapped(text: str) -> Iterator[str]:
    """Yield the path of every folder and module in the last code block of `text`, where what is in a folder is indented."""
    folders: list[tuple[int, str]] = []
    tree = textwrap.dedent(re.findall(r"```\n(.*?)```", text, re.DOTALL)[-1])
    for indent, name in re.findall(r"^( *)([\w./]+)", tree, re.MULTILINE):
        folders = [folder for folder in folders if folder[0] < len(indent)]
        yield "".join(folder for _, folder in folders) + name
        if name.endswith("/"):
            folders.append((len(indent), name))
