import json
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.card import CARD_FILE, GOLDEN_FILE, SCHEMA_VERSION
from models.digits import MODEL_NAME
from tests.support.project import SEVEN
from tests.support.serving import serving
from tests.support.store import SCHEMA_1, SCHEMA_2


@pytest.mark.parametrize("published", [SCHEMA_1, SCHEMA_2], ids=["schema_1", "schema_2"])
def test_a_version_with_a_card_of_an_older_schema_is_served(tmp_path: Path, published: Path) -> None:
    versions = Path(shutil.copytree(published.parent, tmp_path / "home" / "models" / MODEL_NAME))
    folder = versions / published.name
    with np.load(folder / GOLDEN_FILE) as golden, serving(tmp_path / "home") as server:
        answer = server.predict(json.dumps({"images": golden["images"].tolist()}).encode()).json()
        assert answer["model"] == f"{MODEL_NAME}:{folder.name}"
        np.testing.assert_allclose(answer["probabilities"], golden["probabilities"], rtol=0, atol=3e-6)
        card = httpx.get(f"{server.url}/model").json()
        explained = httpx.post(
            f"{server.url}/predict?explain=true", content=SEVEN, headers={"content-type": "application/json"}
        )
    assert [each["digit"] for each in explained.json()["evidence"]] == explained.json()["digits"] == [7]
    assert (card["schema_version"], card["capabilities"]) == (SCHEMA_VERSION, ["linear_evidence"])
    assert json.loads((folder / CARD_FILE).read_text()).get("schema_version") != SCHEMA_VERSION
