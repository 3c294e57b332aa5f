"""Prometheus's rules, their tests and the runbook, as the files have them."""

import re

import yaml

from tests.support.project import ROOT

FOLDER = ROOT / "deploy/prometheus/rules"
FILES = sorted(path for path in FOLDER.glob("*.yml") if not path.name.endswith("_test.yml"))
TEST_FILES = sorted(FOLDER.glob("*_test.yml"))

RULES = [rule for path in FILES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDS = {rule["record"] for rule in RULES if "record" in rule}

RUNBOOK = sorted((ROOT / "docs/runbook").glob("*.md"))
# Each line of a block is a query of its own.
RUNBOOK_QUERIES = [
    query
    for path in RUNBOOK
    for block in re.findall(r"^```promql\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    for query in block.splitlines()
]
