"""The commands: train and publish, list what is published, roll back, show what a perceptron learns.

Human words go to standard error and, before the end, to standard output; the last line of standard output is one JSON
object for scripts.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from models.exported import native_chatter_held_back
from training import store
from training.data import BUNDLED_DATA, DataError, Mnist, read_mnist
from training.logic_gates import print_gates
from training.output import OutputError, fail, writing
from training.recipes import RECIPES, Recipe

if TYPE_CHECKING:
    from training.fit import Fit

_DEFAULT_RECIPE = "baseline"
_EXIT_CODES = "0 done (also where other data was fitted, not published), 1 failed or refused, 2 used wrongly, 130 interrupted"


class _Terminal(Console):
    """A console that raises BrokenPipeError where rich would end the run without a word."""

    def on_broken_pipe(self) -> None:
        raise


def run(words: Sequence[str]) -> int:
    """Run the command that `words` name and return the exit code."""
    parser = _parser()
    arguments = parser.parse_args(words)
    try:
        arguments.recipe = _recipe(arguments)
    except ValueError as error:
        parser.error(str(error))
    try:
        return arguments.command(arguments)
    except (DataError, store.StoreError, OutputError) as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"{error}; what is served is unchanged.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train a digit classifier on MNIST and publish it to the BentoML model store.",
        epilog=f"The last line of standard output is the result as one JSON object. Exit codes: {_EXIT_CODES}.",
    )
    epochs, steps = f"{RECIPES[_DEFAULT_RECIPE].epochs} in {_DEFAULT_RECIPE}", RECIPES["tutorial"].epochs
    parser.set_defaults(command=_train)
    add = parser.add_argument
    add("--recipe", choices=RECIPES, default=_DEFAULT_RECIPE, help="what to fit, and how (default: %(default)s)")
    add("--seed", type=int, default=0, help="of weights and order; same seed, same model (default: %(default)s)")
    add("--steps", type=int, help=f"steps of a recipe with one fixed batch (default: the recipe's, {steps} in tutorial)")
    add("--epochs", type=int, help=f"passes over the training images (default: the recipe's, {epochs})")
    add("--data", type=Path, default=BUNDLED_DATA, help="folder with the four IDX files (default: %(default)s)")
    add("--force", action="store_true", help="publish also what is refused; the card then says why (default: off)")
    add("--if-none", action="store_true", help="do nothing if a version is served already (default: off)")
    add("--quiet", action="store_true", help="print only the last line (default: off)")
    commands = parser.add_subparsers(title="other commands", metavar="{list,rollback,gates}")
    commands.add_parser("list", help="show the published versions").set_defaults(command=_list)
    back = commands.add_parser("rollback", help="make an earlier version the served one")
    back.add_argument("tag", nargs="?", help="the version; left out: the one published before the served one")
    back.set_defaults(command=_rollback)
    gates = commands.add_parser("gates", help="show what a perceptron learns of AND, OR and XOR")
    gates.set_defaults(command=_gates)
    return parser


def _recipe(arguments: argparse.Namespace) -> Recipe:
    recipe = dataclasses.replace(RECIPES[arguments.recipe], seed=arguments.seed)
    if arguments.steps is not None and recipe.batches != "first":
        raise ValueError(f"--steps is {arguments.steps}, but {recipe.name} learns in epochs: use --epochs.")
    if arguments.steps is not None and arguments.steps < 1:
        raise ValueError(f"steps is {arguments.steps}; at least 1 is expected.")
    epochs = arguments.epochs if arguments.steps is None else arguments.steps
    return recipe if epochs is None else dataclasses.replace(recipe, epochs=epochs)


def _train(arguments: argparse.Namespace) -> int:
    problem = store.problem_of_served()
    if arguments.if_none and not problem and (served := store.served_card()):
        _print_last_line({"model": served.tag, "trained": False})
        return 0
    if problem:
        _print_note(f"{problem}.")
    data = read_mnist(arguments.data, arguments.recipe.seed)
    return _fit_and_publish(arguments.recipe, data, arguments)


def _fit_and_publish(recipe: Recipe, data: Mnist, arguments: argparse.Namespace) -> int:
    with native_chatter_held_back():  # here, not at the top: importing TensorFlow takes seconds, and `list` needs none
        from training import evaluate, publish, report, tutorial

    fitted = _fit_one_batch(recipe, data, arguments) if recipe.batches == "first" else _fit_epochs(recipe, data, arguments)
    validation, test = (evaluate.evaluate(fitted.classifier, split) for split in (data.validation, data.test))
    with writing(sys.stdout):
        console = _Terminal(quiet=arguments.quiet)
        report.print_evaluation(console, validation, test)
        if recipe.batches == "first":
            console.print(tutorial.verdict(fitted.history, recipe, test), highlight=False)
    candidate = publish.Candidate(recipe, fitted, data, validation, test)
    tag, refused, code = None, None, 0
    try:
        tag = publish.publish(candidate, arguments.force)
    except publish.NotPublished as reason:
        refused, code = str(reason), int(reason.is_failure)
        hint = "; --force publishes all the same" if reason.can_be_forced else ""
        with writing(sys.stderr):
            print(f"not published: {refused}{hint}.", file=sys.stderr)
    figures = report.summary(recipe, fitted.seconds, validation, test)
    _print_last_line(figures | {"model": tag, "refused": refused}, tag and f"published as {tag}")
    return code


def _fit_epochs(recipe: Recipe, data: Mnist, arguments: argparse.Namespace) -> "Fit":
    from training import fit, report

    with writing(sys.stderr), report.ProgressBar(_Terminal(stderr=True, quiet=arguments.quiet)) as bar:
        return fit.fit(recipe, data.train, data.validation, [bar])


def _fit_one_batch(recipe: Recipe, data: Mnist, arguments: argparse.Namespace) -> "Fit":
    from training import tutorial

    with writing(sys.stdout):
        console = _Terminal(quiet=arguments.quiet)
        return tutorial.fit_one_batch(recipe, data.train, lambda step: console.print(step, highlight=False, soft_wrap=True))


def _print_last_line(result: Mapping[str, object], done: str | None = None) -> None:
    with writing(sys.stdout, done):
        print(json.dumps(result))


def _print_note(sentence: str) -> None:
    with writing(sys.stderr):
        print(f"note: {sentence}", file=sys.stderr)


def _gates(arguments: argparse.Namespace) -> int:
    with writing(sys.stdout):
        print_gates(_Terminal())
    return 0


def _list(arguments: argparse.Namespace) -> int:
    table = Table("version", "published (UTC)", "recipe", "validation", "test", "", box=None, padding=(0, 1, 0, 0))
    for entry in store.published_versions():
        table.add_row(entry.version, *_described(entry), "served" if entry.served else "")
    with writing(sys.stdout):
        _Terminal().print(table if table.row_count else "No version is published yet: python -m training")
    if problem := store.problem_of_served():
        _print_note(f"{problem}; `rollback` makes the newest whole version the served one.")
    return 0


def _described(entry: store.PublishedVersion) -> tuple[str, str, str, str]:
    card = entry.card
    if card is None:
        return "", entry.problem or "", "", ""
    forced = ", forced" if card.forced else ""
    recipe = f"{card.recipe['name']}, seed {card.recipe['seed']}{forced}"
    return f"{card.created:%Y-%m-%d %H:%M}", recipe, f"{card.validation.accuracy:.2%}", f"{card.test.accuracy:.2%}"


def _rollback(arguments: argparse.Namespace) -> int:
    is_repair = arguments.tag is None and store.problem_of_served() is not None
    tag = store.rollback(arguments.tag)
    done = f"{tag} is the served version now" + (", the newest whole one" if is_repair else "")
    with writing(sys.stdout, done):
        print(f"{done}.")
    return 0
