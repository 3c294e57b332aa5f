"""`prometheus_client`'s folder, which BentoML makes: nothing of ours is in it, and nothing of anybody's in it is read."""

from pathlib import Path

import httpx
import pytest

from tests.support.metrics import scrape, value
from tests.support.project import SEVEN
from tests.support.serving import serving

JUNK = (b"", b"junk", bytes(range(256)) * 40)


def leave_junk(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for number, junk in enumerate(JUNK, start=1):
        for name in ("junk", "counter_", "gauge_livesum_"):
            (folder / f"{name}{number}.db").write_bytes(junk)
    if not (folder / "gauge_all_9.db").exists():
        (folder / "gauge_all_9.db").mkdir()


@pytest.mark.parametrize("is_chosen", [True, False], ids=["chosen", "BentoML's own"])
def test_what_somebody_leaves_in_the_folder_for_metrics_does_no_harm(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_chosen: bool
) -> None:
    folder = tmp_path / "chosen" if is_chosen else home / "prometheus_multiproc_dir"
    if is_chosen:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
    leave_junk(folder)
    with serving(home) as server:
        leave_junk(folder)
        server.predict(SEVEN)
        assert httpx.get(f"{server.url}/metrics").status_code == 200
        assert value(scrape(server), "images_total") == 1
