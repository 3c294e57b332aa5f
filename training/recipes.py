"""The recipes, by name: everything that decides what a run learns."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from models.card import Architecture


@dataclass(frozen=True)
class Recipe:
    """What to fit, and how. The schedule spans the whole run and starts at `learning_rate`."""

    batches: ClassVar[Literal["all", "first"]] = "all"

    name: str
    optimizer: Literal["adam", "sgd"]
    learning_rate: float
    schedule: Literal["cosine", "constant"]
    batch_size: int
    epochs: int
    architecture: Architecture = "softmax"
    seed: int = 0

    @property
    def unit(self) -> Literal["epochs", "steps"]:
        """What `epochs` counts."""
        return "steps" if self.batches == "first" else "epochs"

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"{self.unit} is {self.epochs}; at least 1 is expected.")
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}; at least 1 is expected.")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate is {self.learning_rate}; a number above 0 is expected.")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is {self.seed}; a whole number from 0 to 4294967295 is expected.")


class OneBatch(Recipe):
    """How to learn from one fixed batch alone: an epoch is one step, and weights and biases start from N(0, 1)."""

    batches = "first"


RECIPES = {
    recipe.name: recipe
    for recipe in (
        # Chosen by validation accuracy; docs/performance.md has the table.
        Recipe("baseline", "adam", learning_rate=5e-3, schedule="cosine", batch_size=512, epochs=20),
        # Batches of 100 and plain gradient descent at 0.5, as "MNIST for ML Beginners" taught it, but to the end.
        Recipe("sgd", "sgd", learning_rate=0.5, schedule="constant", batch_size=100, epochs=20),
        # The first run of a tutorial: it shows how learning works, and is not meant to be served.
        OneBatch("tutorial", "sgd", learning_rate=0.01, schedule="constant", batch_size=100, epochs=100),
        Recipe("deskew", "adam", learning_rate=5e-3, schedule="cosine", batch_size=512, epochs=20, architecture="deskew"),
        # Fitted on images that change with each epoch (training/augmentation.py), as many epochs as 360 CPU seconds allow.
        Recipe("conv", "adam", learning_rate=4e-3, schedule="cosine", batch_size=256, epochs=30, architecture="conv"),
    )
}
