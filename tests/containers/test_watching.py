"""The rules hold what they promise, every panel's query returns data from a stack at work, and alerts arrive."""

import json
import math
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import yaml

from tests.support.alerting import Messages, alerting
from tests.support.project import ROOT
from tests.support.rules import ALERTS, RECORDS, RUNBOOK_QUERIES, TEST_FILES
from tests.support.stack import Stack, docker, load
from tests.support.waiting import until

DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/digit-classifier.json").read_text())
DONE_ON_PURPOSE = {"ErrorBudgetBurn", "ProxyErrorBudgetBurn", "WorkerRestarts", "WorkerHung", "OutOfMemory"}
BUSY = {"LatencyBudgetBurn", "EventLoopLag"}
PANELS = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


def promtool(*arguments: str) -> str:
    image = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["prometheus"]["image"]
    folder = ("-v", f"{ROOT}/deploy/prometheus:/etc/prometheus:ro")
    return docker("run", "--rm", "--network", "none", *folder, "--entrypoint", "promtool", image, *arguments)


@pytest.mark.usefixtures("images")
def test_promtool_finds_the_configuration_and_the_rules_in_order() -> None:
    assert "SUCCESS" in promtool("check", "config", "/etc/prometheus/prometheus.yml")


@pytest.mark.usefixtures("images")
def test_every_alert_fires_when_it_should_and_only_then() -> None:
    promtool("test", "rules", *(f"/etc/prometheus/rules/{path.name}" for path in TEST_FILES))


@pytest.fixture(scope="module")
def messages(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Messages]]:
    with alerting(stack, tmp_path_factory.mktemp("alertmanager")) as messages:
        yield messages


@pytest.fixture(scope="module")
def at_work(stack: Stack, messages: Callable[[], Messages]) -> Stack:
    """Return the stack after some seconds of predictions, with refusals among them, once all records are there."""
    stack.compose("up", "-d", "blackbox")
    with load(stack.url, clients=2):
        for _ in range(20):
            assert stack.predict(b"[]").status_code == 400
            time.sleep(0.5)
        until(lambda: stack.query("digit_classifier:error_share:rate1h"), 75, "the rules are evaluated")
    return stack


@pytest.mark.parametrize(("title", "query"), PANELS)
def test_a_panels_query_returns_data(at_work: Stack, title: str, query: str) -> None:
    values = [value for _, value in at_work.query(query)]
    assert values, f"{title}: {query} returns nothing"
    assert not any(map(math.isnan, values)), f"{title}: {query} returns {values}"


@pytest.mark.parametrize("query", RUNBOOK_QUERIES)
def test_a_query_of_the_runbook_is_understood(at_work: Stack, query: str) -> None:
    at_work.query(query)  # fails where Prometheus answers with an error


def test_every_record_has_a_value_except_the_one_that_needs_a_yesterday(at_work: Stack) -> None:
    empty = {record for record in RECORDS if not at_work.query(record)}
    assert empty <= {"digit_classifier:prediction_shift"}


def test_the_alerts_are_loaded_and_none_fires_but_the_dead_mans_switch(at_work: Stack) -> None:
    url = f"http://{at_work.addresses['PROMETHEUS_ADDRESS']}/api/v1/rules"
    groups = httpx.get(url, params={"type": "alert"}, timeout=10).json()["data"]["groups"]
    assert len([rule for group in groups for rule in group["rules"]]) == len(ALERTS)
    until(lambda: firing(at_work) == {"Watchdog"}, 40, "the probe, which was not there, is scraped")


def firing(stack: Stack) -> set[str]:
    """Return the alerts that fire, but for what other tests did within the hour and how busy this machine is."""
    return {labels["alertname"] for labels, _ in stack.query('ALERTS{alertstate="firing"}')} - DONE_ON_PURPOSE - BUSY


def test_prometheus_watches_itself_and_asks_the_proxy_as_a_client_would(at_work: Stack) -> None:
    assert at_work.value('up{job="prometheus"}') == 1
    until(lambda: at_work.value('probe_success{job="probe"}') == 1, 40, "the probe is answered with 7")


def test_the_panels_show_what_was_asked(at_work: Stack) -> None:
    assert at_work.value("digit_classifier:ready_replicas") >= 1
    shares = at_work.query("digit_classifier:prediction_share:rate1h")
    assert max(shares, key=lambda share: share[1])[0]["digit"] == "7"


@pytest.mark.parametrize(("severity", "receiver"), [("page", "page"), ("ticket", "ticket")])
def test_an_alert_goes_to_the_receiver_of_its_severity(at_work: Stack, severity: str, receiver: str) -> None:
    routed = ("amtool", "config", "routes", "test", "--config.file=/etc/alertmanager/alertmanager.yml")
    said = at_work.compose("--profile", "alerts", "exec", "-T", "alertmanager", *routed, f"severity={severity}")
    assert said.splitlines()[-1] == receiver


# Last, since Prometheus tells an Alertmanager that it has found of what fires already once a minute.
def test_the_dead_mans_switch_arrives_at_its_own_receiver(messages: Callable[[], Messages]) -> None:
    until(messages, 100, "the first message")
    path, message = messages()[0]
    assert path == "/digit-classifier"
    assert [alert["labels"]["alertname"] for alert in message["alerts"]] == ["Watchdog"]
    assert message["alerts"][0]["annotations"]["runbook"] == "docs/runbook/Watchdog.md"
