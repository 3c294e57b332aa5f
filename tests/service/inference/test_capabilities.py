"""What a version can do is what its card says, over real HTTP."""

import json
from pathlib import Path

import httpx

from models.card import CARD_FILE
from models.digits import MODEL_NAME
from tests.support.project import SEVEN
from tests.support.serving import serving


def test_a_version_that_gives_no_evidence_predicts_and_says_so_where_it_is_asked_for(home: Path) -> None:
    versions = home / "models" / MODEL_NAME
    card = versions / (versions / "latest").read_text() / CARD_FILE
    card.write_text(json.dumps(json.loads(card.read_text()) | {"capabilities": []}))
    with serving(home) as server:
        assert server.predict(SEVEN).json()["digits"] == [7]
        headers = {"content-type": "application/json"}
        explained = httpx.post(f"{server.url}/predict?explain=true", content=SEVEN, headers=headers)
        weights = httpx.get(f"{server.url}/model/weights")
    assert (explained.status_code, weights.status_code) == (400, 404)
    assert "gives no evidence; send the request without explain=true." in explained.json()["error"]
    assert "is not linear" in weights.json()["error"]
