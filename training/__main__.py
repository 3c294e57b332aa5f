"""The command line: train and publish, list what is published, roll back, show what a perceptron learns.

Human words go to standard error and, before the end, to standard output; the last line of standard output is one JSON
object for scripts.
"""

import argparse
import dataclasses
import errno
import json
import os
import signal
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from models.exported import native_chatter_held_back
from training import store
from training.data import BUNDLED_DATA, Mnist, read_mnist
from training.gates import print_gates
from training.recipes import RECIPES, Recipe

_DEFAULT_RECIPE = "baseline"
_INTERRUPTED = 128 + signal.SIGINT


def main() -> int:
    """Run the command that the arguments name and return the exit code."""
    # TensorFlow and BentoML read these when they are imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = _parser().parse_args()
    try:
        return arguments.command(arguments)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was changed in the store.", _INTERRUPTED)
    except OSError as error:
        return _fail(_sentence(error))


def _fail(sentence: str, code: int = 1) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return code


def _sentence(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"no space left on the disk ({error.filename or 'the model store'}); nothing was changed in the store."
    return f"{error}; nothing was changed in the store."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train a digit classifier on MNIST and publish it to the BentoML model store.",
        epilog="The last line of standard output is the result as one JSON object.",
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


def _train(arguments: argparse.Namespace) -> int:
    if arguments.if_none and (served := store.served_card()):
        print(json.dumps({"model": served.tag, "trained": False}))
        return 0
    try:
        recipe = _recipe(arguments)
        data = read_mnist(arguments.data, recipe.seed)
    except ValueError as error:  # DataError is one
        return _fail(str(error))
    return _fit_and_publish(recipe, data, arguments)


def _recipe(arguments: argparse.Namespace) -> Recipe:
    recipe = dataclasses.replace(RECIPES[arguments.recipe], seed=arguments.seed)
    if arguments.steps is not None and recipe.batches != "first":
        raise ValueError(f"--steps is {arguments.steps}, but {recipe.name} learns in epochs: use --epochs.")
    if arguments.steps is not None and arguments.steps < 1:
        raise ValueError(f"steps is {arguments.steps}; at least 1 is expected.")
    epochs = arguments.epochs if arguments.steps is None else arguments.steps
    return recipe if epochs is None else dataclasses.replace(recipe, epochs=epochs)


def _fit_and_publish(recipe: Recipe, data: Mnist, arguments: argparse.Namespace) -> int:
    with native_chatter_held_back():  # here, not at the top: importing TensorFlow takes seconds, and `list` needs none
        from training import evaluate, fit, publish, report, tutorial

    console = Console(quiet=arguments.quiet)
    if recipe.batches == "first":
        fitted = tutorial.fit_one_batch(recipe, data.train, lambda step: console.print(step, highlight=False, soft_wrap=True))
    else:
        with report.ProgressBar(Console(stderr=True, quiet=arguments.quiet)) as bar:
            fitted = fit.fit(recipe, data.train, data.validation, [bar])
    validation, test = (evaluate.evaluate(fitted.classifier, split) for split in (data.validation, data.test))
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
        print(f"not published: {refused}{hint}.", file=sys.stderr)
    print(json.dumps(report.summary(recipe, fitted.seconds, validation, test) | {"model": tag, "refused": refused}))
    return code


def _list(arguments: argparse.Namespace) -> int:
    table = Table("version", "published (UTC)", "recipe", "validation", "test", "", box=None, padding=(0, 1, 0, 0))
    for entry in store.published_versions():
        table.add_row(entry.version, *_described(entry), "served" if entry.served else "")
    Console().print(table if table.row_count else "No version is published yet: python -m training")
    return 0


def _described(entry: store.PublishedVersion) -> tuple[str, str, str, str]:
    card = entry.card
    if card is None:
        return "", entry.problem or "", "", ""
    forced = ", forced" if card.forced else ""
    recipe = f"{card.recipe['name']}, seed {card.recipe['seed']}{forced}"
    return f"{card.created:%Y-%m-%d %H:%M}", recipe, f"{card.validation.accuracy:.2%}", f"{card.test.accuracy:.2%}"


def _rollback(arguments: argparse.Namespace) -> int:
    try:
        tag = store.rollback(arguments.tag)
    except store.StoreError as error:
        return _fail(str(error))
    print(f"{tag} is the served version now.")
    return 0


def _gates(arguments: argparse.Namespace) -> int:
    print_gates(Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
