"""The command line of the benchmark.

Progress goes to standard error, the report as Markdown to standard output, whose last line is one JSON object.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

from benchmarks import alone, by_recipe, wrk
from benchmarks.answers import WrongAnswerError
from benchmarks.bench import CLIENT_CORE, SERVER_CORE, prepared
from benchmarks.compare import compare
from benchmarks.overload import overload
from benchmarks.report import Options
from benchmarks.scenarios import MAX_IMAGES, all_scenarios
from benchmarks.servers import OURS, SERVERS, Server
from benchmarks.stores import RECIPES, store_with
from models.exported import native_chatter_held_back

REPORTS = {
    "compare": compare,
    "tail": alone.tail,
    "mixed": alone.mixed,
    "workers": alone.workers,
    "start": alone.start,
    "memory": alone.memory,
    "soak": alone.soak,
    "overload": overload,
    "recipes": by_recipe.recipes,
}


def main() -> int:
    """Run the report that the arguments name and return the exit code."""
    arguments = _parser().parse_args()
    recipes = RECIPES if arguments.report == "recipes" else RECIPES[:1]
    try:
        options = _options(arguments)
        wrk.require_wrk()
        _require_cores()
        with store_with(arguments.home, recipes) as home, _prepared_quietly(home) as bench:
            report = REPORTS[arguments.report](bench, options)
    except (wrk.LoadError, WrongAnswerError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{report.markdown}\n\n{json.dumps(report.document)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what the service costs, beside the floors and its peers.",
        epilog="The last line of standard output is the result as one JSON object.",
    )
    names = [each.name for each in SERVERS]
    add = parser.add_argument
    add("report", nargs="?", choices=REPORTS, default="compare", help="what to measure (default: %(default)s)")
    add("--only", metavar="NAMES", help=f"servers to compare, by comma: {', '.join(names)} (default: all)")
    add("--rounds", type=int, default=3, help="of which the medians are reported (default: %(default)s)")
    add("--seconds", type=int, help="of each load (default: depends on the report)")
    add("--quick", action="store_true", help="this service only, one round, a second each, without 1,024 images (default: off)")
    add("--home", type=Path, help="a BENTOML_HOME with a published model (default: a throw-away one, trained for this run)")
    return parser


def _options(arguments: argparse.Namespace) -> Options:
    if arguments.quick:
        # On a busy machine a second may pass before 1,024 images are answered even once.
        short = tuple(each for each in all_scenarios() if each.num_images < MAX_IMAGES)
        return Options((OURS,), short, rounds=1, seconds=1, warm_up_seconds=0)
    return Options(_named(arguments.only), tuple(all_scenarios()), arguments.rounds, arguments.seconds, warm_up_seconds=1)


def _named(names: str | None) -> tuple[Server, ...]:
    by_name = {each.name: each for each in SERVERS}
    wanted = names.split(",") if names else list(by_name)
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise ValueError(f"--only has {', '.join(unknown)}; the servers are {', '.join(by_name)}.")
    return tuple(by_name[name] for name in wanted)


def _require_cores() -> None:
    if not {CLIENT_CORE, SERVER_CORE} <= os.sched_getaffinity(0):
        raise RuntimeError(
            f"the cores {CLIENT_CORE} (client) and {SERVER_CORE} (server) are needed, and are not both to be had."
        )


@contextlib.contextmanager
def _prepared_quietly(home: Path) -> Iterator:
    with contextlib.ExitStack() as stack:
        with native_chatter_held_back():
            bench = stack.enter_context(prepared(home))
        yield bench


if __name__ == "__main__":
    sys.exit(main())
