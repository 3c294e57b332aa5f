"""What a document shows, compared with what was printed: the comparison itself, which must be able to fail."""

from pathlib import Path

import pytest

from tests.support.documents import anchors, mapped, mismatch, rows


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("loss 0.2615", "loss  0.2617\n"),
        ("accuracy 92.79 %", "accuracy 92.75 %"),
        ("[7,7] 1,024 images, 5.8e-06", "[7,7] 1,024 images, 0.0000059"),
        ("digit-classifier:5wwqjvxhswehaax4", "digit-classifier:oqj5qhhizkc3aax4"),
        ("step 0 loss 14.9\n…\nstep 10 loss 7.6", "step 0 loss 14.9\nstep 1 loss 14.2\nstep 10 loss 7.6\n"),
        ('…"accuracy": 0.93,…', '{"seconds": 3.1, "accuracy": 0.93, "loss": 0.26}'),
    ],
)
def test_what_is_printed_as_shown_matches(shown: str, printed: str) -> None:
    assert mismatch(shown, printed) is None


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        # What README showed of examples/seven.png, and what was answered.
        (
            '{"digits":[7],"probabilities":[[0.0035275973,0.9960049]]}',
            '{"digits":[7],"probabilities":[[0.0015111035,0.99834704]]}',
        ),
        ("accuracy 92.79 %", "accuracy 92.65 %"),
        ("learned after 9 epochs", "learned after 10 epochs"),
        ("learned", "not learned"),
        ("learned", "learned nothing"),
        ("…learned", "it learned nothing"),
        ("first … second", "second first"),
        ("7.5", "17.5"),
        ("431", "200"),
    ],
)
def test_what_is_printed_otherwise_does_not(shown: str, printed: str) -> None:
    assert mismatch(shown, printed)


def test_a_table_is_read_by_its_cells_without_its_heading() -> None:
    assert rows("text\n\n| name | |\n|---|---|\n| `A` | one |\n| | two |\n") == [["`A`", "one"], ["", "two"]]


def test_anchors_are_those_of_github(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("# What it *does*, and why\n\n```sh\n# no heading\n```\n\n## POST /predict\n")
    assert anchors(document) == {"what-it-does-and-why", "post-predict"}


def test_a_module_in_the_map_is_in_the_folder_above_it() -> None:
    assert list(mapped("```\na/   x\n  b/   y\n    c.py z\n  d.py  z\ne/\n```")) == ["a/", "a/b/", "a/b/c.py", "a/d.py", "e/"]
