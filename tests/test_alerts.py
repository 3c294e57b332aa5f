"""The alerts are complete: each has its cases, its severity and its page, and reaches somebody."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.support.project import ROOT, SEVEN
from tests.support.rules import ALERTS, FILES, RUNBOOK, TEST_FILES

NAMES = {rule["alert"] for rule in ALERTS}
CASES = [
    case
    for path in TEST_FILES
    for test in yaml.safe_load(path.read_text())["tests"]
    for case in test.get("alert_rule_test", [])
]
# Readiness and liveness, which no client asks for.
OF_PROBES = {"draining", "engine_silent"}


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    fired = {(case["alertname"], alert["exp_labels"]["severity"]) for case in CASES for alert in case["exp_alerts"]}
    assert fired == {(rule["alert"], rule["labels"]["severity"]) for rule in ALERTS}


def test_every_alert_has_a_case_in_which_it_does_not_fire_but_the_dead_mans_switch() -> None:
    assert {case["alertname"] for case in CASES if not case["exp_alerts"]} == NAMES - {"Watchdog"}


def test_every_alert_says_what_is_wrong_how_urgent_it_is_and_where_to_read_on() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("page", "ticket", "none"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "runbook"}, rule["alert"]
        assert rule["annotations"]["runbook"] == f"docs/runbook/{rule['alert']}.md"


def test_there_is_a_page_for_every_alert_and_for_nothing_else() -> None:
    assert {path.stem for path in RUNBOOK} == NAMES


@pytest.mark.parametrize("path", RUNBOOK, ids=lambda path: path.stem)
def test_a_page_says_what_it_means_how_to_look_and_what_to_do(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^#+ .*$", text, re.MULTILINE) == [
        f"# {path.stem}",
        "## What it means",
        "## How to look",
        "## What to do",
    ]
    assert 10 <= len([line for line in text.splitlines() if line.strip()]) <= 40


def test_prometheus_reads_every_file_of_rules() -> None:
    configuration = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert sorted(configuration["rule_files"]) == [f"rules/{path.name}" for path in FILES]


def test_the_rules_of_the_service_need_nothing_but_the_service() -> None:
    assert "haproxy_" not in (ROOT / "deploy/prometheus/rules/service.yml").read_text()
    assert "probe_" not in (ROOT / "deploy/prometheus/rules/service.yml").read_text()


def test_errors_of_the_service_are_those_with_status_5xx() -> None:
    table = (ROOT / "docs/metrics.md").read_text()
    reasons = {reason for reason, status in re.findall(r"^\| `(\w+)` \| (\d+) \|", table, re.MULTILINE) if status >= "500"}
    counted = {tuple(found.split("|")) for rule in ALERTS for found in re.findall(r'reason=~"([^"]+)"', rule["expr"])}
    assert [set(each) for each in counted] == [reasons - OF_PROBES]


def test_every_inhibition_is_of_alerts_that_there_are() -> None:
    rules = yaml.safe_load((ROOT / "deploy/alertmanager/alertmanager.yml").read_text())["inhibit_rules"]
    matchers = [matcher for rule in rules for side in ("source_matchers", "target_matchers") for matcher in rule[side]]
    named = {name for matcher in matchers for name in re.findall(r'alertname =~? "([^"]+)"', matcher)}
    assert {each for name in named for each in name.split("|")} <= NAMES


def test_every_severity_has_a_receiver() -> None:
    configuration = yaml.safe_load((ROOT / "deploy/alertmanager/alertmanager.yml").read_text())
    routed = [configuration["route"]["receiver"], *(route["receiver"] for route in configuration["route"]["routes"])]
    assert sorted(routed) == sorted(receiver["name"] for receiver in configuration["receivers"])


def test_the_probe_sends_the_seven_of_the_examples() -> None:
    module = yaml.safe_load((ROOT / "deploy/blackbox/blackbox.yml").read_text())["modules"]["predict"]
    assert json.loads(module["http"]["body"]) == json.loads(SEVEN)


@pytest.mark.parametrize(
    ("service", "file"), [("prometheus", "prometheus/prometheus.yml"), ("blackbox", "blackbox/blackbox.yml")]
)
def test_the_key_that_can_be_switched_on_is_in_a_folder_that_is_mounted(service: str, file: str) -> None:
    given, switched_on = (ROOT / "deploy" / file).read_text(), "authorization: {credentials_file: /secrets/key}"
    assert "authorization" not in json.dumps(yaml.safe_load(given))
    assert json.dumps(yaml.safe_load(switched_on))[1:-1] in json.dumps(yaml.safe_load(with_key(given)))
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][service]["volumes"]
    assert "${MONITORING_SECRETS:-./secrets/monitoring}:/secrets:ro" in volumes


def with_key(text: str) -> str:
    """Remove the `#` as docs/operations.md says."""
    return re.sub(r"#(authorization:|  credentials_file:)", r"\1", text)
