"""`docker compose up` from nothing: it trains, serves and watches; what runs is confined."""

import json
import time

import httpx
import pytest
import yaml

from models.digits import MODEL_NAME
from tests.support.project import ROOT
from tests.support.stack import HEADERS, SERVICES, SEVEN, Stack, inspected, run
from tests.support.waiting import until


def test_it_trains_once_and_answers_through_the_proxy(stack: Stack) -> None:
    train = json.loads(stack.compose("logs", "--no-log-prefix", "train").splitlines()[-1])
    answer = stack.predict()
    assert answer.json()["digits"] == [7]
    assert answer.json()["model"] == train["model"]
    assert httpx.get(f"{stack.url}/readyz").status_code == 200


def test_a_second_up_does_not_train_again(stack: Stack) -> None:
    stack.up()
    assert json.loads(stack.compose("logs", "--no-log-prefix", "train").splitlines()[-1])["trained"] is False


def test_prometheus_counts_exactly_the_requests_that_were_sent(stack: Stack) -> None:
    asked = 'sum(digit_classifier_requests_total{route="/predict"})'
    until(lambda: stack.value('up{job="service"}') == 1, 30, "Prometheus scrapes the service")
    time.sleep(6)  # a scrape later than all earlier requests
    before = {name: stack.value(expression) for name, expression in counted().items()}
    for _ in range(23):
        assert stack.predict().status_code == 200
    for _ in range(5):
        assert stack.predict(b"[]").status_code == 400
    until(lambda: stack.value(asked) >= before["all"] + 28, 30, "all requests are counted")
    time.sleep(6)
    after = {name: stack.value(expression) - before[name] for name, expression in counted().items()}
    assert after == {"all": 28, "answered": 23, "refused": 5, "images": 23, "sevens": 23}


def counted() -> dict[str, str]:
    return {
        "all": 'sum(digit_classifier_requests_total{route="/predict"})',
        "answered": 'sum(digit_classifier_requests_total{route="/predict", status="200"})',
        "refused": 'sum(digit_classifier_requests_total{route="/predict", status="400"})',
        "images": "sum(digit_classifier_images_total)",
        "sevens": 'sum(digit_classifier_predictions_total{digit="7"})',
    }


def test_every_container_is_confined(stack: Stack) -> None:
    for service in SERVICES[1:]:
        host = inspected(stack.containers(service)[0])["HostConfig"]
        assert host["CapDrop"] == ["ALL"], service
        assert host["SecurityOpt"] == ["no-new-privileges:true"], service
        assert host["ReadonlyRootfs"], service
        assert not host["Privileged"], service
        assert host["Memory"] > 0, service
        assert host["NanoCpus"] > 0, service
        assert host["RestartPolicy"]["Name"] == "unless-stopped", service
        assert host["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"}, service
        assert {port["HostIp"] for ports in host["PortBindings"].values() for port in ports} <= {"127.0.0.1"}, service


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_bounds_on_processes_and_on_all_of_its_memory(stack: Stack, service: str) -> None:
    host = inspected(stack.compose("ps", "-aq", service).split()[0])["HostConfig"]
    assert host["MemorySwap"] == host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert all("size=" in options for options in host.get("Tmpfs", {}).values())


def test_only_models_and_keys_are_shared_and_the_service_cannot_write_them(stack: Stack) -> None:
    mounts = inspected(stack.containers("service")[0])["Mounts"]
    assert {(mount["Destination"], mount["RW"]) for mount in mounts} == {
        ("/bentoml/models", False),
        ("/app/secrets/keys", False),
    }
    write = "open('/bentoml/models/x', 'w')"
    refused = f"try: {write}\nexcept OSError as error: print(error.errno)"
    assert stack.compose("exec", "-T", "service", "python", "-c", refused) == "30"  # EROFS


def test_the_log_names_the_client_and_not_the_proxy(stack: Stack) -> None:
    gateway = inspected(stack.containers("proxy")[0])["NetworkSettings"]["Networks"][f"{stack.project}_default"]["Gateway"]
    httpx.post(f"{stack.url}/predict", content=SEVEN, headers=HEADERS | {"x-forwarded-for": "6.6.6.6"})
    lines = [line for line in stack.compose("logs", "--no-log-prefix", "service").splitlines() if "/predict" in line]
    assert gateway in lines[-1]
    assert "6.6.6.6" not in "".join(lines)


def test_a_new_version_trained_by_compose_run_is_seen_by_the_service(stack: Stack) -> None:
    out = stack.compose("run", "--rm", "-T", "train", "--quiet", "--recipe", "baseline", "--seed", "1", "--epochs", "10")
    published = json.loads(out.splitlines()[-1])["model"].removeprefix(f"{MODEL_NAME}:")
    seen = stack.compose("exec", "-T", "service", "cat", f"/bentoml/models/{MODEL_NAME}/latest")
    assert seen == published
    assert stack.compose("exec", "-T", "service", "test", "-r", f"/bentoml/models/{MODEL_NAME}/{published}/card.json") == ""


def test_with_the_gpu_file_the_service_has_its_image_and_a_card() -> None:
    files = ("-f", "docker-compose.yml", "-f", "docker-compose.gpu.yml")
    service = yaml.safe_load(run("docker", "compose", *files, "config"))["services"]["service"]
    assert service["build"]["target"] == "serve-gpu"
    assert service["environment"]["DEVICE"] == "gpu"
    reservation = service["deploy"]["resources"]["reservations"]["devices"][0]
    assert (reservation["driver"], reservation["capabilities"]) == ("nvidia", ["gpu"])
    base = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert base["service"]["build"]["target"] == "serve"
