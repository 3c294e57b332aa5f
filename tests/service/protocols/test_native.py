"""Good input over real HTTP: the answer, its parity with Keras, the hints, BentoML's own client."""

import json
from pathlib import Path

import bentoml
import httpx
import keras
import numpy as np
import pytest

from models.card import PARITY_TOLERANCE, ModelCard
from models.digits import INVERTED_HINT, MODEL_NAME, SCALED_HINT
from service.protocols.media_types import BYTES, PNG
from tests.support.project import ROOT
from tests.support.serving import Server
from training.data import Mnist
from training.evaluate import probabilities_of


def body(images: np.ndarray) -> bytes:
    return json.dumps({"images": images.tolist()}).encode()


def test_the_answer_is_the_contracts(server: Server, version_folder: Path, digit: np.ndarray) -> None:
    answer = server.predict(body(digit[None]))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-model-version"] == version_folder.name
    assert list(answer.json()) == ["model", "digits", "probabilities", "novelty", "accepted"]
    assert answer.json()["model"] == f"{MODEL_NAME}:{version_folder.name}"
    assert answer.json()["digits"] == [7]
    assert np.shape(answer.json()["probabilities"]) == (1, 10)
    assert 0 < answer.json()["novelty"][0] < 0.9
    assert answer.json()["accepted"] == [True]


def test_served_probabilities_are_those_of_keras_for_all_test_digits(
    server: Server, version_folder: Path, classifier: keras.Sequential, mnist: Mnist
) -> None:
    expected = probabilities_of(classifier, mnist.test.images)
    answers = [server.predict(body(batch)).json() for batch in np.split(mnist.test.images, 10)]
    served = np.concatenate([answer["probabilities"] for answer in answers])
    difference = np.abs(served - expected).max()
    print(f"largest difference from Keras over 10,000 test digits: {difference:.1e}")
    assert difference <= PARITY_TOLERANCE
    assert np.array_equal(np.concatenate([answer["digits"] for answer in answers]), expected.argmax(axis=1))
    accuracy = np.mean(np.concatenate([answer["digits"] for answer in answers]) == mnist.test.labels)
    assert accuracy == pytest.approx(ModelCard.read(version_folder).test.accuracy)


@pytest.mark.parametrize("size", [2, 64, 1000])
def test_an_answer_does_not_depend_on_its_batch(server: Server, mnist: Mnist, size: int) -> None:
    together = server.predict(body(mnist.test.images[:size])).json()["probabilities"]
    for place in (0, size // 2, size - 1):
        alone = server.predict(body(mnist.test.images[place : place + 1])).json()["probabilities"]
        assert alone == [together[place]]


def test_flat_and_square_images_have_the_same_answer(server: Server, mnist: Mnist) -> None:
    flat = mnist.test.images[:3]
    assert server.predict(body(flat)).content == server.predict(body(flat.reshape(-1, 28, 28))).content


def test_fractional_pixels_are_computed_as_they_are(server: Server, digit: np.ndarray) -> None:
    whole, fraction = (server.predict(body(np.maximum(digit - less, 0.0)[None])).json() for less in (0, 0.5))
    assert fraction["digits"] == whole["digits"]
    assert fraction["probabilities"] != whole["probabilities"]


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda digit: digit / 255, SCALED_HINT),
        (lambda digit: 255 - digit, INVERTED_HINT),
        (lambda digit: digit, None),
        (lambda digit: (digit > 127) * 1, None),  # all 0 or 1: a black and white picture may be meant
        (lambda digit: digit * 0, None),
    ],
    ids=["scaled", "inverted", "right", "zeros and ones", "blank"],
)
def test_a_hint_says_what_looks_mistaken(server: Server, digit: np.ndarray, change, hint: str | None) -> None:
    assert server.predict(body(change(digit)[None])).json().get("hint") == hint


@pytest.mark.parametrize(
    "images_of",
    [
        lambda images: images.tolist(),
        lambda images: images,
        lambda images: images.astype(np.float32),
        lambda images: images.reshape(-1, 28, 28),
    ],
    ids=["lists", "uint8", "float32", "square"],
)
def test_bentomls_own_client_works(server: Server, mnist: Mnist, images_of) -> None:
    with bentoml.SyncHTTPClient(server.url) as client:
        answer = client.predict(images=images_of(mnist.test.images[:3]))  # pyright: ignore[reportAttributeAccessIssue]
        assert client.is_ready()
    assert answer["digits"] == [7, 2, 1]


def test_bentomls_own_client_is_told_what_was_wrong(server: Server) -> None:
    with bentoml.SyncHTTPClient(server.url) as client, pytest.raises(bentoml.exceptions.InvalidArgument, match="has 2 values"):
        client.predict(images=[[1, 2]])  # pyright: ignore[reportAttributeAccessIssue]


def test_evidence_for_many_images_is_sent_in_pieces_and_is_the_same_as_for_each_alone(server: Server, mnist: Mnist) -> None:
    headers = {"content-type": "application/octet-stream"}
    answers = [
        httpx.post(f"{server.url}/predict?explain=true", content=images.tobytes(), headers=headers)
        for images in (mnist.test.images[:150], mnist.test.images[149:150])
    ]
    assert answers[0].headers.get("transfer-encoding") == "chunked"
    many, alone = (answer.json() for answer in answers)
    assert len(many["evidence"]) == 150
    assert many["evidence"][149] == alone["evidence"][0]
    assert [each["digit"] for each in many["evidence"]] == many["digits"]


@pytest.mark.parametrize("query", ["explained=true", "explain=true&x=1", "x", "seen=true&Seen=true"])
def test_an_unknown_word_in_the_query_is_refused(server: Server, digit: np.ndarray, query: str) -> None:
    answer = httpx.post(
        f"{server.url}/predict?{query}", content=digit.tobytes(), headers={"content-type": "application/octet-stream"}
    )
    assert answer.status_code == 400
    assert "which is not known; send ?explain=true, ?seen=true, or no query." in answer.json()["error"]


@pytest.mark.parametrize("query", ["?seen=1", "?seen", "?seen=true&seen=true"])
def test_seen_takes_true_or_false_once(server: Server, digit: np.ndarray, query: str) -> None:
    assert server.predict(body(digit[None]), query=query).status_code == 400
    assert "seen" not in server.predict(body(digit[None]), query="?seen=false").json()


def test_what_the_model_saw_has_no_binary_form(server: Server, digit: np.ndarray) -> None:
    answer = server.predict(digit.tobytes(), BYTES, "?seen=true", accept=BYTES)
    assert answer.status_code == 400
    assert f"seen=true was sent with Accept: {BYTES}, which has no room for pictures" in answer.json()["error"]


def test_what_the_model_saw_of_pixels_are_those_pixels_rounded(server: Server, digit: np.ndarray) -> None:
    fractions = np.maximum(digit - 0.25, 0)
    (seen,) = server.predict(body(fractions[None]), query="?seen=true").json()["seen"]
    assert seen == digit.tolist()
    assert {type(pixel) for pixel in seen} == {int}


def test_what_the_model_saw_of_a_picture_gets_the_same_answer_as_pixels(server: Server) -> None:
    picture = (ROOT / "examples/seven.png").read_bytes()
    answer = server.predict(picture, PNG, "?seen=true").json()
    again = server.predict(json.dumps({"images": answer["seen"]}).encode()).json()
    assert again["digits"] == answer["digits"] == [7]
    np.testing.assert_allclose(again["probabilities"], answer["probabilities"], atol=0.01)


def test_what_the_model_saw_of_many_images_is_sent_in_pieces_also_beside_evidence(server: Server, mnist: Mnist) -> None:
    images = mnist.test.images[:1024]
    alone, both = (server.predict(images.tobytes(), BYTES, query) for query in ("?seen=true", "?seen=true&explain=true"))
    assert alone.headers.get("transfer-encoding") == "chunked"
    assert list(alone.json())[-1] == "seen"
    assert list(both.json())[-3:] == ["method", "evidence", "seen"]
    assert alone.json()["seen"] == both.json()["seen"] == images.tolist()
    assert len(both.json()["evidence"]) == 1024


def test_a_version_that_deskews_says_what_it_saw_deskewed(deskewed: Server, digit: np.ndarray) -> None:
    answer = deskewed.predict(body(digit[None]), query="?explain=true&seen=true").json()
    (seen,), (evidence,) = answer["seen"], answer["evidence"]
    assert seen != digit.tolist()
    assert seen == np.rint(evidence["picture"]).tolist()
    assert answer["before_deskewing"] == [digit.tolist()]


def test_a_version_that_does_not_deskew_says_once_what_it_saw(server: Server, digit: np.ndarray) -> None:
    assert "before_deskewing" not in server.predict(body(digit[None]), query="?seen=true").json()
