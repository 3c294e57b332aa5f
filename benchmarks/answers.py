"""The right answers, from Keras itself, and the check of a server's answers against them."""

from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.scenarios import Form, Images
from models.digits import NUM_CLASSES

Probabilities = NDArray[np.float32]
"""Of shape (N, 10)."""

TOLERANCE = 1e-5
_NOT_OFFERED = {404, 405, 406, 415}


class WrongAnswerError(Exception):
    """A server answered something else than what Keras computes."""


class NoAnswerError(WrongAnswerError):
    """A server answered another status than 200, as one does that is not ready yet."""


class NotOfferedError(Exception):
    """A server does not take this form."""


def keras_probabilities(model_file: Path, images: Images) -> Probabilities:
    """Return what Keras computes for `images`; imports TensorFlow."""
    import keras

    from training.evaluate import probabilities_of

    classifier = keras.saving.load_model(model_file, compile=False)
    assert isinstance(classifier, keras.Sequential)
    return probabilities_of(classifier, images)


def ask(url: str, form: Form, body: bytes, timeout_seconds: float) -> Probabilities:
    """Post `body` and return the probabilities answered.

    Raises:
        NotOfferedError: the status says that the server does not take this form.
        NoAnswerError: the status is another one than 200.
        WrongAnswerError: the body holds no probabilities.
    """
    headers = {"content-type": form.content_type, "accept": form.accept}
    response = httpx.post(url, content=body, headers=headers, timeout=timeout_seconds)
    if response.status_code in _NOT_OFFERED:
        raise NotOfferedError(f"{response.status_code}: {response.text[:200]}")
    if response.status_code != httpx.codes.OK:
        raise NoAnswerError(f"status {response.status_code}: {response.text[:200]}")
    return read(form, response.content, response.headers.get("content-type", ""))


def read(form: Form, content: bytes, content_type: str) -> Probabilities:
    """Return the probabilities in an answer: JSON, with or without the key "probabilities", or little-endian float32."""
    if content_type.partition(";")[0] != form.accept:
        raise WrongAnswerError(f"the answer is {content_type or 'of no type'}, not {form.accept}")
    try:
        if form.accept != "application/json":
            return np.frombuffer(content, "<f4").reshape(-1, NUM_CLASSES)
        document = httpx.Response(200, content=content).json()
        return np.array(document["probabilities"] if isinstance(document, dict) else document, np.float32)
    except (ValueError, KeyError) as error:
        raise WrongAnswerError(f"the answer holds no probabilities ({error!r}): {content[:200]!r}") from None


def check(answered: Probabilities, expected: Probabilities) -> None:
    """Raise `WrongAnswerError` unless every probability is within `TOLERANCE` of the one expected."""
    if answered.shape != expected.shape:
        raise WrongAnswerError(f"probabilities of shape {answered.shape} came for {expected.shape}")
    difference = float(np.abs(answered - expected).max())
    if not difference <= TOLERANCE:  # so written, NaN is wrong too
        raise WrongAnswerError(f"a probability is {difference:.2g} away from what Keras computes; {TOLERANCE:g} is allowed")
