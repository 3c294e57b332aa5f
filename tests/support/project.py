"""Where the project is, and the digit among its examples."""

import json
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent.parent

SEVEN = (ROOT / "examples/seven.json").read_bytes()
SEVEN_PNG = (ROOT / "examples/seven.png").read_bytes()
PIXELS = np.array(json.loads(SEVEN)["images"], np.uint8)
