"""The commands: train and publish, list what is published, roll back, prune, show what a perceptron learns.

The result is a sentence on a terminal; elsewhere, and with --quiet, it is one JSON object on the last line of output.
"""

import contextlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Column, Table

from models.card import coverage_at
from models.exported import native_chatter_held_back
from training import store
from training.data import BUNDLED_DATA, DataError, Mnist, read_mnist
from training.logic_gates import print_gates
from training.output import OutputError, fail, writing
from training.prune import prune
from training.recipes import RECIPES, Recipe

if TYPE_CHECKING:
    from training.fit import Fit

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
_PIPED_COLUMNS = 160
_BASELINE, _TUTORIAL = RECIPES["baseline"], RECIPES["tutorial"]
_EPILOG = (
    "Without a terminal, or with --quiet, the last line of standard output is the result as one JSON object. Exit codes: "
    "0 done (also if a model of other data is fitted and not published), 1 failed or refused, 2 wrong usage, 130 interrupted."
)


class _Terminal(Console):
    """A console that raises BrokenPipeError, where rich would end the run silently."""

    def on_broken_pipe(self) -> None:
        raise


class _TrainUnlessNamed(click.Group):
    """Commands, of which `train` is the default."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_named = args and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if is_named else ["train", *args])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.commands["train"].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def run(words: Sequence[str]) -> int:
    """Run the command that `words` name and return the exit code."""
    try:
        with _commands.make_context("python -m training", list(words)) as context:
            return _commands.invoke(context)
    except click.exceptions.Exit as done:  # --help
        return done.exit_code
    except click.UsageError as mistake:
        return fail(mistake.format_message(), mistake.exit_code)
    except (DataError, store.StoreError, OutputError) as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"{error}; what is served is unchanged.")


@click.group(cls=_TrainUnlessNamed, context_settings=_CONTEXT, subcommand_metavar="[COMMAND]", epilog=_EPILOG)
def _commands() -> None:
    """Train a digit classifier on MNIST and publish it to the BentoML model store."""


def _option(name: str, meaning: str, default: object, **how: Any) -> Callable[..., Any]:
    return click.option(name, help=f"{meaning} (default: {default}).", **how)


@_commands.command()
@_option("--recipe", "What to fit, and how", f"RECIPE or {_BASELINE.name}", type=click.Choice(list(RECIPES)), envvar="RECIPE")
@_option("--seed", "Seed of weights and order; the same seed gives the same model", _BASELINE.seed, type=int)
@_option("--epochs", "Passes over the training images", f"the recipe's, {_BASELINE.epochs} in baseline", type=int)
@_option("--steps", "Steps of a recipe with one fixed batch", f"the recipe's, {_TUTORIAL.epochs} in tutorial", type=int)
@_option("--learning-rate", "Where the schedule starts", f"the recipe's, {_BASELINE.learning_rate} in baseline", type=float)
@_option("--batch-size", "Images in a step", f"the recipe's, {_BASELINE.batch_size} in baseline", type=int)
@_option("--data", "Folder with the four IDX files", "the bundled data/mnist", type=Path)
@_option("--force", "Publish even if that is refused; the card then says why it was", "off", is_flag=True)
@_option(
    "--if-none",
    "Fit nothing if a version is served; with --recipe, if there is one of that recipe, which is then served",
    "off",
    is_flag=True,
)
@_option("--quiet", "Print only the result", "off", is_flag=True)
def train(recipe: str | None, data: Path | None, force: bool, if_none: bool, quiet: bool, **changes: float | None) -> int:
    """Train and publish; the default command."""
    chosen = _recipe(recipe or _BASELINE.name, **changes)
    if if_none and (found := _found(recipe)):
        tag, done = found
        with contextlib.suppress(OutputError):  # a service that waits for this needs the version alone
            _print_result({"model": tag, "trained": False}, f"{tag} {done}", quiet)
        return 0
    if problem := store.problem_of_served():
        _say(f"note: {problem}.")
    return _fit_and_publish(chosen, read_mnist(data or BUNDLED_DATA, chosen.seed), force, quiet)


def _found(recipe: str | None) -> tuple[str, str] | None:
    """Return the tag of the version that is served, of `recipe` if that is named, and what was done to have it so, or None.

    Where another is served, or `latest` is damaged, another version that there is becomes the served one.
    """
    served = None if store.problem_of_served() else store.served_card()
    if served and recipe in (None, served.recipe["name"]):
        store.record_served()
        return served.tag, "is published already"
    version = store.version_to_serve_instead(recipe)
    return (store.serve(version), "is the served version now") if version else None


def _recipe(name: str, **changes: float | None) -> Recipe:
    recipe = RECIPES[name]
    other = "epochs" if recipe.unit == "steps" else "steps"
    if (number := changes.pop(other)) is not None:
        raise click.UsageError(f"--{other} is {number}, but {name} learns in {recipe.unit}: use --{recipe.unit}.")
    changes["epochs"] = changes.pop(recipe.unit)
    try:
        return replace(recipe, **{field: value for field, value in changes.items() if value is not None})
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _fit_and_publish(recipe: Recipe, data: Mnist, force: bool, quiet: bool) -> int:
    with native_chatter_held_back():  # here, not at the top: importing TensorFlow takes seconds, and `list` needs none
        from training import assessment, publish, report, tutorial

    console = _Terminal(quiet=quiet)
    candidate = assessment.assess(recipe, _fit(recipe, data, console), data)
    with writing(sys.stdout):
        report.print_evaluation(console, candidate.validation, candidate.test)
        if recipe.batches == "first":
            console.print(tutorial.verdict(candidate.fit.history, recipe, candidate.test), highlight=False)
        else:
            report.print_acceptance(console, candidate)
    tag, refused, code = None, None, 0
    try:
        tag = publish.publish(candidate, force)
    except publish.NotPublished as reason:
        refused, code = str(reason), int(reason.is_failure)
        _say(f"not published: {refused}{'; use --force to publish it anyway' if reason.can_be_forced else ''}.")
    result = report.summary(candidate) | {"model": tag, "refused": refused}
    _print_result(result, tag and f"{tag} is published and served now", quiet)
    return code


def _fit(recipe: Recipe, data: Mnist, console: Console) -> "Fit":
    from training import fit, report, tutorial

    if recipe.batches == "first":
        with writing(sys.stdout):
            return tutorial.fit_one_batch(recipe, data.train, lambda step: console.print(step, highlight=False, soft_wrap=True))
    bar = report.ProgressBar(_Terminal(stderr=True, quiet=console.quiet))
    with writing(sys.stderr), bar.progress:
        return fit.fit(recipe, data.train, data.validation, [bar])


def _print_result(result: Mapping[str, object], done: str | None, quiet: bool) -> int:
    """Print the result: on a terminal a sentence that says what was done, if anything was; elsewhere JSON."""
    with writing(sys.stdout, done):
        if quiet or not (sys.stdout and sys.stdout.isatty()):
            print(json.dumps(result))
        elif done:
            print(f"{done}.")
    return 0


def _say(sentence: str) -> None:
    with writing(sys.stderr):
        print(sentence, file=sys.stderr)


@_commands.command()
def gates() -> int:
    """Show what a perceptron learns of AND, OR and XOR."""
    with writing(sys.stdout):
        print_gates(_Terminal())
    return 0


@_commands.command("list")
def list_versions() -> int:
    """Show the published versions, and which one is served."""
    columns = "published (UTC)", "recipe", "architecture", "validation", "test", "covered at 99 %", ""
    # What is piped into another program is not to be cut, and a version never is.
    terminal = _Terminal()
    if not terminal.is_terminal:
        terminal.width = _PIPED_COLUMNS
    table = Table(Column("version", no_wrap=True, min_width=16), *columns, box=None, padding=(0, 1, 0, 0))
    for entry in store.published_versions():
        table.add_row(entry.version, *_described(entry), "served" if entry.served else "")
    with writing(sys.stdout):
        terminal.print(table if table.row_count else "No version is published yet: python -m training")
    if problem := store.problem_of_served():
        _say(f"note: {problem}; `rollback` makes the newest whole version the served one.")
    return 0


def _described(entry: store.PublishedVersion) -> tuple[str, ...]:
    card = entry.card
    if card is None:
        return "", entry.problem or "", "", "", "", ""
    recipe = f"{card.recipe['name']}, seed {card.recipe['seed']}{', forced' if card.forced else ''}"
    covered = f"{coverage_at(0.99, card.coverage):.1%}" if card.coverage else ""
    accuracies = f"{card.validation.accuracy:.2%}", f"{card.test.accuracy:.2%}", covered
    return f"{card.created:%Y-%m-%d %H:%M}", entry.problem or recipe, card.architecture, *accuracies


@_commands.command()
@click.argument("version", required=False)
def rollback(version: str | None) -> int:
    """Make VERSION the served one; without it, the one published before the served one."""
    is_repair = version is None and store.problem_of_served() is not None
    tag = store.rollback(version)
    done = f"{tag} is the served version now" + (", the newest whole one" if is_repair else "")
    with writing(sys.stdout, done):
        print(f"{done}.")
    return 0


@_commands.command("prune")
@click.option("--keep", help="Newest whole versions to keep.", type=click.IntRange(min=1), required=True)
@_option("--dry-run", "Remove nothing, and say what would be", "off", is_flag=True)
def prune_versions(keep: int, dry_run: bool) -> int:
    """Remove old versions, but neither the served one nor the one that would be served in its place."""
    removed = prune(keep, dry_run=dry_run)
    which = f"{sum(removed.values()):,} bytes{': ' if removed else ''}{', '.join(removed)}"
    done = f"{len(removed)} version{'' if len(removed) == 1 else 's'} {'would be ' if dry_run else ''}removed, {which}"
    with writing(sys.stdout, done):
        print(f"{done}.")
    return 0
