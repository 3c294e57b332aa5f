"""What a version can do is what its card says, over real HTTP."""

import json
import math
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.card import CARD_FILE, WEIGHTS_FILE
from models.digits import MODEL_NAME
from service.inference.model_loading import ModelLoadError, find_version, load_model
from service.protocols.media_types import BYTES
from tests.support.project import SEVEN
from tests.support.serving import serving
from tests.support.store import reseal


def test_a_version_that_is_not_linear_is_explained_by_occlusion_and_has_no_weights(home: Path) -> None:
    versions = home / "models" / MODEL_NAME
    card = versions / (versions / "latest").read_text() / CARD_FILE
    card.write_text(json.dumps(json.loads(card.read_text()) | {"capabilities": []}))
    with serving(home) as server:
        assert server.predict(SEVEN).json()["digits"] == [7]
        answer = server.predict(SEVEN, query="?explain=true").json()
        many = server.predict(bytes(65 * 784), BYTES, "?explain=true")
        weights = httpx.get(f"{server.url}/model/weights")
    assert (answer["method"], answer["digits"]) == ("occlusion", [7])
    (evidence,) = answer["evidence"]
    assert list(evidence) == ["digit", "log_odds", "pixels"]
    probability = answer["probabilities"][0][7]
    assert evidence["log_odds"] == pytest.approx(math.log(probability / (1 - probability)), rel=1e-3)
    assert max(evidence["pixels"]) > 0
    assert many.status_code == 413
    assert "is not linear" in many.json()["error"]
    assert "send at most 64 in one such request." in many.json()["error"]
    assert weights.status_code == 404
    assert "is not linear" in weights.json()["error"]


def test_weights_that_do_not_give_what_the_graph_answers_are_refused_at_load(published_store: Path) -> None:
    folder, _ = find_version(f"{MODEL_NAME}:latest")
    with np.load(folder / WEIGHTS_FILE) as file:
        weights, biases = file["weights"], file["biases"]
    np.savez_compressed(folder / WEIGHTS_FILE, weights=1.01 * weights, biases=biases)
    reseal(folder)
    with pytest.raises(ModelLoadError, match="golden digits with probabilities from its weights up to") as error:
        load_model(f"{MODEL_NAME}:latest", "cpu")
    assert error.value.reason == "golden"
