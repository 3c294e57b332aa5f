"""How well published models read digits unlike those they learned from, and what they say of images that are none.

Prints a Markdown table for each recipe, and as the last line of standard output the figures as one JSON object. Nothing
of a model is chosen by them: to compare choices, use `--split validation`.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

from benchmarks.report import say
from benchmarks.robustness.image_sets import image_sets
from benchmarks.robustness.picture import draw
from benchmarks.robustness.table import as_document, as_markdown, measured
from benchmarks.robustness.versions import answering
from benchmarks.stores import RECIPES, newest_of, store_with
from training.data import read_mnist


def main() -> int:
    """Measure what the arguments say and return the exit code."""
    arguments = _parser().parse_args()
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    document = {}
    try:
        say("making the images")
        sets = list(image_sets(getattr(read_mnist(), arguments.split)))
        with store_with(arguments.home, arguments.recipes) as home:
            for recipe in arguments.recipes:
                say(f"asking {recipe}")
                rows = measured(sets, answering(newest_of(recipe, home)))
                title = f"{recipe}, with digits of MNIST's {arguments.split} split"
                draw(title, rows).savefig(arguments.pictures / f"robustness_{recipe}.png", dpi=80, metadata={"Software": None})
                print(f"## {title}\n\n{as_markdown(rows)}\n")
                document[recipe] = as_document(rows)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(document))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description=__doc__)
    add = parser.add_argument
    add("--recipes", type=lambda names: names.split(","), default=RECIPES, help=f"by comma (default: {','.join(RECIPES)})")
    add("--home", type=Path, help="a BENTOML_HOME with a version of each (default: a throw-away one, fitted for this run)")
    add("--split", choices=("test", "validation"), default="test", help="of MNIST (default: %(default)s)")
    add("--pictures", type=Path, default=Path("pictures"), help="the folder for a picture of each (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
