"""What a card may say, given to the version that is the latest of a store: what it accepts, and what it can do."""

import json
from collections.abc import Mapping
from pathlib import Path

from models.card import CARD_FILE
from models.digits import MODEL_NAME

MAX_NOVELTY = 0.97

# Figures of nobody's, so that whatever is shown of them comes from the card.
KNOWS: dict[str, object] = {
    "calibration": {
        "temperature": 1.234,
        "validation_before": {"loss": 0.2117, "calibration_error": 0.0217},
        "test_before": {"loss": 0.2611, "calibration_error": 0.0172},
    },
    "thresholds": {"min_confidence": 0.9, "max_novelty": MAX_NOVELTY},
    "acceptance": {
        "validation": {"coverage": 0.71, "accuracy": 0.995, "accuracy_interval": (0.992, 0.997)},
        "test": {"coverage": 0.625, "accuracy": 0.99, "accuracy_interval": (0.986, 0.994)},
    },
    "coverage": [
        {"coverage": part / 20, "accuracy": 1 - 0.07 * (part / 20) ** 4, "min_confidence": 1 - 0.7 * part / 20}
        for part in range(1, 21)
    ],
    "behaviour": {"printed digits, thick strokes": 0.613, "same digit one pixel further": 0.874},
}
KNOWS_NOTHING = dict.fromkeys(KNOWS) | {"coverage": [], "behaviour": {}, "capabilities": []}


def change_card(home: Path, changes: Mapping[str, object]) -> None:
    """Let the card of the version that is the latest in `home` say something else."""
    versions = home / "models" / MODEL_NAME
    card = versions / (versions / "latest").read_text() / CARD_FILE
    card.write_text(json.dumps(json.loads(card.read_text()) | dict(changes)))
