"""What `make sbom` writes."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.project import ROOT

VALIDATE = """
import pathlib, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(pathlib.Path(sys.argv[1]).read_text())
sys.exit(error and str(error))
"""


@pytest.mark.slow
def test_the_bill_of_materials_is_valid_and_has_all_that_serving_locks(tmp_path: Path) -> None:
    sbom = tmp_path / "sbom.json"
    # The environment that runs this is not to be made anew under it.
    subprocess.run(["make", "-o", ".venv/.installed", "sbom", f"SBOM={sbom}"], cwd=ROOT, check=True)
    subprocess.run([ROOT / ".venv-audit/bin/python", "-c", VALIDATE, sbom], check=True)
    components = {each["name"]: each for each in json.loads(sbom.read_text())["components"]}
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements/serve.txt").read_text(), re.MULTILINE))
    print(f"{len(components)} components, BentoML {components['bentoml']['version']}")
    assert {name: each["version"] for name, each in components.items()} == locked
    assert "bentoml" in locked
    assert all(hashed["hashes"] for each in components.values() for hashed in each["externalReferences"])
