"""What is only configuration, checked against the code and the files that it speaks of; no container is needed."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily

from service.observability import metrics
from service.settings import RENAMED, Settings
from tests.support.project import ROOT
from tests.support.rules import ALERTS, RECORDS, RULES, RUNBOOK_QUERIES

COMPOSE = (ROOT / "docker-compose.yml").read_text()
PROXY = (ROOT / "deploy/proxy/haproxy.cfg").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/digit-classifier.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = (
    [target["expr"] for panel in PANELS for target in panel["targets"]] + [rule["expr"] for rule in RULES] + RUNBOOK_QUERIES
)
DATASOURCE = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]


def exposed_names() -> set[str]:
    """Return the names of all series that `service/observability/metrics.py` exposes."""
    suffixes = {CounterMetricFamily: ("_total",), HistogramMetricFamily: ("_bucket", "_sum", "_count")}
    return {f"{family.name}{suffix}" for family in metrics.TABLE.families for suffix in suffixes.get(family.exposed_as, ("",))}


def test_every_metric_that_is_asked_for_is_one_of_the_services() -> None:
    asked = {name for query in QUERIES for name in re.findall(r"\bdigit_classifier_\w+", query)}
    assert asked
    assert asked <= exposed_names()


def test_every_record_that_is_asked_for_is_made() -> None:
    assert {name for query in QUERIES for name in re.findall(r"\bdigit_classifier:\w+(?::\w+)?", query)} <= RECORDS


def test_the_dashboard_is_read_from_the_top() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Is it up?", "Is it fast?", "Is it full?", "Is it right?"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [(panel["gridPos"]["y"], panel["gridPos"]["x"]) for panel in DASHBOARD["panels"]]
    assert places == sorted(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])


def test_every_panel_asks_the_provisioned_data_source() -> None:
    assert DATASOURCE["url"] == "http://prometheus:9090"
    used = {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    assert used == {panel["datasource"]["uid"] for panel in PANELS} == {DATASOURCE["uid"]}


def test_a_panel_that_names_an_alert_names_one_that_there_is() -> None:
    named = set(re.findall(r"Alert: (\w+)", " ".join(panel["description"] for panel in PANELS)))
    assert named
    assert named <= {rule["alert"] for rule in ALERTS}


def test_grafana_finds_what_is_provisioned() -> None:
    mounts = dict(volume.rsplit(":ro")[0].split(":") for volume in SERVICES["grafana"]["volumes"] if volume.startswith("./"))
    assert all((ROOT / source).is_dir() for source in mounts)
    provider = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/digit-classifier.yml").read_text())["providers"][
        0
    ]
    assert provider["options"]["path"] in mounts.values()
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / "deploy/grafana/dashboards" / home.name).is_file()


def test_the_example_settings_are_those_of_compose_with_their_defaults() -> None:
    gpu = (ROOT / "docker-compose.gpu.yml").read_text()
    used = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", gpu)) | dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", COMPOSE))
    shown = dict(re.findall(r"^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert shown == {name: default for name, default in used.items() if name not in RENAMED}


def test_an_old_name_in_a_settings_file_reaches_the_service_which_refuses_it() -> None:
    environment = SERVICES["service"]["environment"]
    assert {name: environment.get(name) for name in RENAMED} == {name: f"${{{name}:-}}" for name in RENAMED}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_of_the_service_can_be_set_and_has_its_default(name: str) -> None:
    shown = SERVICES["service"]["environment"][name.upper()]
    default = re.fullmatch(r"\$\{[A-Z_]+:-(.*)\}", shown)
    assert default, shown
    # Compose knows its device and replicas, and has a proxy that needs to be told; all else is as in the service.
    expected = {"device": "cpu", "drain_seconds": 3, "public_metrics": True, "replicas": 1}.get(
        name, Settings.model_fields[name].default
    )
    assert default[1].lower() == ("" if expected in ((), None) else f"{expected}".lower())


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_limited_confined_and_has_its_logs_rotated(name: str) -> None:
    service = SERVICES[name]
    assert "build" in service or re.search(r":v?\d+\.\d+\.\d+$", service["image"])
    assert {"mem_limit", "cpus", "pids_limit", "restart"} <= service.keys()
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert service["memswap_limit"] == service["mem_limit"]  # which is no swap
    assert all("size=" in tmpfs for tmpfs in service.get("tmpfs", []))
    assert "privileged" not in service
    assert all(":-127.0.0.1:" in port for port in service.get("ports", []))


def test_the_proxy_has_the_services_limit_and_alone_is_published() -> None:
    proxy, service = (SERVICES[name] for name in ("proxy", "service"))
    assert proxy["environment"]["MAX_BODY_BYTES"] == service["environment"]["MAX_BODY_BYTES"]
    assert proxy["ports"] == ["${PROXY_ADDRESS:-127.0.0.1:3000}:3000", "${TLS_ADDRESS:-127.0.0.1:3443}:3443"]
    assert "ports" not in service


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_error_of_the_proxy_that_passes_says_when_to_try_again(status: int) -> None:
    (line,) = [line for line in PROXY.splitlines() if f"http-error status {status} " in line]
    assert re.search(r" hdr Retry-After [1-9]$", line)
