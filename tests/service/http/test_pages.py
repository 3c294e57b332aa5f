"""What the page asks for, over real HTTP; the page itself is tested in a browser."""

import shutil
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.perceptron import learn_gate, learn_gate_with_hidden_layer
from service.http.pages import PICTURES
from tests.support.cards import change_card
from tests.support.project import ROOT
from tests.support.serving import Server, serving
from tests.support.store import SCHEMA_2
from training.data import Mnist


def test_the_weights_compute_what_the_model_answers(server: Server, mnist: Mnist) -> None:
    document = httpx.get(f"{server.url}/model/weights").json()
    weights, biases = np.array(document["weights"]), np.array(document["biases"])
    assert (weights.shape, biases.shape) == ((784, 10), (10,))
    images = mnist.test.images[:200]
    powers = np.exp(images / 255 @ weights + biases)
    answer = httpx.post(f"{server.url}/predict", json={"images": images.tolist()}).json()
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), answer["probabilities"], atol=3e-6)
    assert document["model"] == answer["model"]


def keras_weights(path: Path) -> list[np.ndarray]:
    import keras

    model = keras.saving.load_model(path, compile=False)
    assert isinstance(model, keras.Sequential)
    return model.get_weights()


def test_the_weights_are_those_of_keras(server: Server, published_home) -> None:
    (path,) = published_home.rglob("model.keras")
    weights, biases = keras_weights(path)
    document = httpx.get(f"{server.url}/model/weights").json()
    np.testing.assert_allclose(document["weights"], weights, rtol=1e-6)
    np.testing.assert_array_equal(np.float32(document["biases"]), biases)


def test_there_are_twenty_samples_of_all_ten_digits_with_mistakes_among_them(server: Server, mnist: Mnist) -> None:
    document = httpx.get(f"{server.url}/samples").json()
    images, labels, digits = (np.array(document[name]) for name in ("images", "labels", "digits"))
    assert (images.shape, labels.shape, digits.shape) == ((20, 784), (20,), (20,))
    assert set(labels) == set(range(10))
    assert len(np.unique(images, axis=0)) == 20
    assert 2 <= np.sum(labels != digits) <= 10
    for image, label in zip(images, labels, strict=True):
        (place,) = np.flatnonzero((mnist.test.images[:64] == image).all(axis=1))
        assert mnist.test.labels[place] == label


def test_the_samples_are_answered_as_they_say(server: Server) -> None:
    document = httpx.get(f"{server.url}/samples").json()
    assert httpx.post(f"{server.url}/predict", json={"images": document["images"]}).json()["digits"] == document["digits"]


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_that_of_the_version_served(server: Server, published_home, name: str) -> None:
    answer = httpx.get(f"{server.url}/model/pictures/{name}.png")
    (path,) = published_home.rglob(f"pictures/{name}.png")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == path.read_bytes()


@pytest.mark.parametrize(
    "path", ["/model/pictures/none.png", "/model/pictures/../card.json", "/web/../service.py", "/web/none.js"]
)
def test_no_other_file_is_served(server: Server, path: str) -> None:
    with httpx.Client() as client:  # sent as it stands: httpx would resolve the dots
        request = client.build_request("GET", f"{server.url}/")
        request.url = request.url.copy_with(raw_path=path.encode())
        assert client.send(request).status_code == 404


@pytest.mark.parametrize("target", ["0001", "0110"])
def test_the_perceptron_is_the_one_of_the_command_line(server: Server, target: str) -> None:
    query = {"target": target, "learning_rate": 0.2, "seed": 3}
    (unit,) = httpx.get(f"{server.url}/perceptron", params=query).json()["units"]
    expected = learn_gate(target, 0.2, 3)
    assert (unit["learned"], len(unit["epochs"])) == (expected.learned, len(expected.epochs))
    last = expected.epochs[-1]
    assert unit["epochs"][-1] == {
        "number": last.number,
        "weights": list(last.weights),
        "bias": last.bias,
        "errors": last.errors,
    }


def test_the_perceptron_with_a_hidden_layer_has_three_units(server: Server) -> None:
    document = httpx.get(f"{server.url}/perceptron", params={"target": "0110", "hidden": 1}).json()
    expected = learn_gate_with_hidden_layer("0110")
    assert [unit["target"] for unit in document["units"]] == [unit.target for unit in expected] == ["0100", "0010", "0110"]
    assert all(unit["learned"] for unit in document["units"])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("target=012", "target=012: String should match pattern"),
        ("learning_rate=0", "learning_rate=0: Input should be greater than or equal to 0.001"),
        ("learning_rate=nan", "learning_rate=nan: Input should be"),
        ("seed=-1", "seed=-1: Input should be greater than or equal to 0"),
        ("hidden=perhaps", "hidden=perhaps: Input should be a valid boolean"),
        ("epochs=1000000000", "epochs=1000000000: Extra inputs are not permitted"),
    ],
)
def test_a_perceptron_that_cannot_be_trained_is_refused_in_a_sentence(server: Server, query: str, said: str) -> None:
    answer = httpx.get(f"{server.url}/perceptron?{query}")
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_the_page_and_its_files_forbid_what_is_not_their_own(server: Server) -> None:
    files = subprocess.check_output(["git", "ls-files"], cwd=ROOT / "service/web", text=True).splitlines()
    assert len(files) > 10
    for path in ["/", *(f"/web/{file}" for file in files)]:
        answer = httpx.get(f"{server.url}{path}")
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_a_version_of_an_older_schema_names_the_pictures_that_it_has(tmp_path: Path) -> None:
    shutil.copytree(SCHEMA_2.parent.parent, tmp_path / "models")
    with serving(tmp_path) as server:
        answer = httpx.get(f"{server.url}/model/pictures/coverage.png")
        assert httpx.get(f"{server.url}/model/pictures/weights.png").status_code == 200
    assert answer.status_code == 404
    assert "there is no coverage; there are: weights, confusion, reliability, learning_curve." in answer.json()["error"]


def test_weights_of_another_picture_than_the_one_received_are_refused_in_a_sentence(home: Path) -> None:
    change_card(home, {"capabilities": ["novelty"]})
    with serving(home) as server:
        answer = httpx.get(f"{server.url}/model/weights")
    assert answer.status_code == 404
    assert "is not linear in the pixels received" in answer.json()["error"]
    assert "POST /predict?explain=true" in answer.json()["error"]


LOADED = ["/", "/web/app.js", "/samples", "/model/weights", "/model/pictures/weights.png", "/perceptron?target=0110"]


def get(server: Server, path: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return httpx.get(f"{server.url}{path}", headers={"accept-encoding": "identity"} | named)


@pytest.mark.parametrize("path", LOADED)
@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("known", ["{0}", "W/{0}", '"another", {0}', '{0},"another"', "*"])
def test_what_the_browser_has_is_not_sent_again(server: Server, path: str, coding: str, known: str) -> None:
    first = get(server, path, Accept_Encoding=coding)
    again = get(server, path, Accept_Encoding=coding, If_None_Match=known.format(first.headers["etag"]))
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    for name in ("etag", "vary", "cache-control"):
        assert again.headers[name] == first.headers[name]


@pytest.mark.parametrize("path", LOADED)
def test_what_it_does_not_have_is_sent(server: Server, path: str) -> None:
    plain, packed = get(server, path), get(server, path, Accept_Encoding="gzip, br")
    assert plain.headers["etag"].startswith('"')
    assert (plain.headers["vary"], plain.headers["cache-control"]) == ("Accept-Encoding", "no-cache")
    assert plain.content == packed.content
    is_packed = packed.headers.get("content-encoding") == "gzip"
    assert is_packed == (not path.endswith(".png"))
    assert (plain.headers["etag"] != packed.headers["etag"]) == is_packed
    for known in ("", '"another"', plain.headers["etag"].strip('"'), *[plain.headers["etag"]] * is_packed):
        assert get(server, path, Accept_Encoding="gzip", If_None_Match=known).status_code == 200


@pytest.mark.parametrize("accepted", ["", "br", "identity", "gzip;q=0", "gzip;q=0, identity", "deflate;q=1, gzip;q=0.0"])
def test_nothing_is_compressed_for_clients_that_do_not_accept_it(server: Server, accepted: str) -> None:
    assert "content-encoding" not in get(server, "/model/weights", Accept_Encoding=accepted).headers


def test_all_pages_together_are_under_2640_lines_and_145_kb() -> None:
    files = [path.read_bytes() for path in (ROOT / "service/web").iterdir()]
    assert sum(content.count(b"\n") for content in files) < 2640
    assert sum(map(len, files)) < 145_000


def test_paths_of_one_kind_are_one_route_in_the_metrics(server: Server) -> None:
    httpx.get(f"{server.url}/model/pictures/weights.png")
    httpx.get(f"{server.url}/web/index.html")
    text = httpx.get(f"{server.url}/metrics").text
    assert 'route="/model/pictures/{name}.png"' in text
    assert 'route="/web/{file}"' in text
    assert "index.html" not in text
