"""How the baseline was chosen: its neighbours, each with one thing changed, by validation accuracy over three seeds.

Run with `python -m benchmarks.recipes`; it prints a Markdown table. The test split is not looked at.
"""

import dataclasses
import os
from statistics import mean, median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from training.data import Mnist, read_mnist
from training.evaluate import evaluate
from training.fit import fit
from training.recipes import RECIPES, Recipe

_SEEDS = (0, 1, 2)
_CHANGES = (
    {},
    {"learning_rate": 2e-3},
    {"learning_rate": 1e-2},
    {"schedule": "constant"},
    {"epochs": 10},
    {"epochs": 40},
    {"batch_size": 128},
    {"batch_size": 2048},
)


def main() -> None:
    """Fit every recipe with every seed and print a line each."""
    data = read_mnist()
    print("| recipe | validation accuracy | validation loss | fit, s |\n|---|---|---|---|")
    for change in _CHANGES:
        name = ", ".join(f"{field} {value}" for field, value in change.items()) or "no change"
        print(_row(f"baseline, {name}", dataclasses.replace(RECIPES["baseline"], **change), data), flush=True)
    print(_row("sgd", RECIPES["sgd"], data))


def _row(name: str, recipe: Recipe, data: Mnist) -> str:
    fits = [fit(dataclasses.replace(recipe, seed=seed), data.train, data.validation) for seed in _SEEDS]
    validations = [evaluate(each.classifier, data.validation) for each in fits]
    accuracy, loss = mean(each.accuracy for each in validations), mean(each.loss for each in validations)
    return f"| {name} | {accuracy:.2%} | {loss:.4f} | {median(each.seconds for each in fits):.1f} |"


if __name__ == "__main__":
    main()
