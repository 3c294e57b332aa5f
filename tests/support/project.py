"""Where the project is, the digit among its examples, and paths of the service."""

import json
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent.parent

SEVEN = (ROOT / "examples/seven.json").read_bytes()
SEVEN_PNG = (ROOT / "examples/seven.png").read_bytes()
PIXELS = np.array(json.loads(SEVEN)["images"], np.uint8)

# What is said of the model that is served, and of the page's perceptron.
ABOUT_MODELS = ("/model", "/model/versions", "/model/weights", "/model/pictures/weights.png", "/samples", "/perceptron")
