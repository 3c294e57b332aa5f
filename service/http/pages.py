"""The page's files, and what it loads: samples, weights and pictures of the version served, a perceptron's training."""

from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import orjson
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from models.card import GOLDEN_FILE, PICTURES_FOLDER
from models.digits import NUM_CLASSES
from models.perceptron import learn_gate, learn_gate_with_hidden_layer
from service.errors import ApiError
from service.http.documents import FILE_HEADERS, Document, file_type, known
from service.inference.model_repository import LoadedModel, ModelRepository
from service.protocols.media_types import JSON, PNG

PICTURES = ("weights", "confusion", "reliability", "coverage", "learning_curve")
NUM_SAMPLES = 20

_WEB = Path(__file__).parent.parent / "web"
FILES, PICTURE = "/web/{file}", "/model/pictures/{name}.png"


class PerceptronQuery(BaseModel, frozen=True, extra="forbid"):
    """What `GET /perceptron` may be asked for."""

    target: str = Field(default="0001", pattern="^[01]{4}$", description="class of (0, 0), (0, 1), (1, 0), (1, 1)")
    learning_rate: float = Field(default=0.1, ge=0.001, le=10, description="how far a wrong answer moves the line")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of the weights that it starts with")
    hidden: bool = Field(default=False, description="two perceptrons in a hidden layer, and a third on their answers")


def page_routes(repository: ModelRepository) -> list[Route]:
    """Return the routes of the page.

    Their functions are plain ones, which Starlette runs in a thread, so that no inference waits for them.
    """
    files = {name: Document((_WEB / name).read_bytes(), file_type(name), FILE_HEADERS) for name in file_names()}

    def file(request: Request) -> Response:
        name = request.path_params.get("file", "index.html")
        return files[known(name, files)].answer(request)

    def picture(request: Request) -> Response:
        return picture_document(repository.served, request.path_params["name"]).answer(request)

    def of_served(document: Callable[[LoadedModel], Document]) -> Callable[[Request], Response]:
        return lambda request: document(repository.served).answer(request)

    return [
        Route("/", file),
        Route(FILES, file),
        Route("/samples", of_served(samples_document)),
        Route("/model/weights", of_served(weights_document)),
        Route(PICTURE, picture),
        Route("/perceptron", _perceptron),
    ]


def file_names() -> list[str]:
    """Return the names of the page's files."""
    return sorted(path.name for path in _WEB.iterdir())


def _folder(version: LoadedModel) -> Path:
    if not version.folder.is_dir():
        sentence = f"{version.tag}, which is served, is no longer in the store; publish or roll back to one that is."
        raise ApiError(404, "not_found", sentence)
    return version.folder


def _json_of(version: LoadedModel, **document: np.ndarray) -> Document:
    content = orjson.dumps({"model": version.tag, **document}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Document(content, JSON, {"X-Model-Version": version.card.version})


@lru_cache(maxsize=2)
def weights_document(version: LoadedModel) -> Document:
    """Return the JSON of weights (784, 10), for pixels scaled to 0-1, and biases (10,)."""
    if version.linear is None or "linear_evidence" not in version.card.capabilities:
        sentence = f"{version.tag} is not linear in the pixels received, so that none has a weight of its own for each digit."
        raise ApiError(404, "not_found", f"{sentence} POST /predict?explain=true explains an answer.")
    return _json_of(version, weights=version.linear.weights, biases=version.linear.biases)


@lru_cache(maxsize=2)
def samples_document(version: LoadedModel) -> Document:
    """Return the JSON of twenty golden digits: images (20, 784), labels (20,), digits answered (20,)."""
    with np.load(_folder(version) / GOLDEN_FILE, allow_pickle=False) as golden:
        images, labels, digits = golden["images"], golden["labels"], golden["probabilities"].argmax(axis=1)
    chosen = _chosen_samples(labels, digits)
    return _json_of(version, images=images[chosen], labels=labels[chosen], digits=digits[chosen])


@lru_cache(maxsize=2 * len(PICTURES))
def picture_document(version: LoadedModel, name: str) -> Document:
    """Return the PNG that the training job drew of `version`."""
    folder = _folder(version) / PICTURES_FOLDER
    drawn = {name: path for name in PICTURES if (path := folder / f"{name}.png").is_file()}
    return Document(drawn[known(name, drawn)].read_bytes(), PNG, {"X-Model-Version": version.card.version})


def _chosen_samples(labels: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Return the indices of twenty, by label: the first of each digit, then mistakes, then the next ones."""
    firsts = [np.flatnonzero(labels == digit)[:1] for digit in range(NUM_CLASSES)]
    candidates = np.concatenate([*firsts, np.flatnonzero(labels != digits), np.arange(len(labels))])
    _, first_places = np.unique(candidates, return_index=True)
    chosen = candidates[np.sort(first_places)][:NUM_SAMPLES]
    return chosen[np.argsort(labels[chosen], kind="stable")]


def _perceptron(request: Request) -> Response:
    try:
        query = PerceptronQuery.model_validate(dict(request.query_params))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])[:40]
        raise ApiError(400, "malformed", f"{name}={str(first['input'])[:40]}: {first['msg']}; see GET /docs.json.") from None
    return perceptron_document(query).answer(request)


@lru_cache(maxsize=64)
def perceptron_document(query: PerceptronQuery) -> Document:
    """Return the JSON of the units trained: one, or left, right and output of the network with a hidden layer."""
    given = (query.target, query.learning_rate, query.seed)
    units = learn_gate_with_hidden_layer(*given) if query.hidden else (learn_gate(*given),)
    content = orjson.dumps(query.model_dump() | {"units": [asdict(unit) | {"learned": unit.learned} for unit in units]})
    return Document(content, JSON, {})
