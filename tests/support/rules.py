"""Prometheus's rules and their tests, as the files have them."""

import yaml

from tests.support.project import ROOT

FOLDER = ROOT / "deploy/prometheus/rules"
FILES = sorted(path for path in FOLDER.glob("*.yml") if not path.name.endswith("_test.yml"))
TEST_FILES = sorted(FOLDER.glob("*_test.yml"))

RULES = [rule for path in FILES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDS = {rule["record"] for rule in RULES if "record" in rule}
