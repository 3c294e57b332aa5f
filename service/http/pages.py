"""The page's files, and what it asks for: samples, weights and pictures of the version served, a perceptron's training."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import lru_cache
from mimetypes import guess_type
from pathlib import Path
from types import MappingProxyType

import numpy as np
import orjson
from pydantic import BaseModel, Field, ValidationError
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from models.card import GOLDEN_FILE, PICTURES_FOLDER
from models.digits import NUM_CLASSES
from models.perceptron import learn_gate, learn_gate_with_hidden_layer
from service.errors import ApiError
from service.inference.model_repository import LoadedModel, ModelRepository
from service.protocols.media_types import BYTES, JSON

PICTURES = ("weights", "confusion", "reliability", "learning_curve")
NUM_SAMPLES = 20

_WEB = Path(__file__).parent.parent / "web"
FILES, PICTURE = "/web/{file}", "/model/pictures/{name}.png"
_FILE_HEADERS = MappingProxyType(
    {
        # Nothing from elsewhere, nothing inline, no plugins, no frames, no forms.
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
)


class PerceptronQuery(BaseModel, frozen=True, extra="forbid"):
    """What `GET /perceptron` may be asked for."""

    target: str = Field(default="0001", pattern="^[01]{4}$", description="class of (0, 0), (0, 1), (1, 0), (1, 1)")
    learning_rate: float = Field(default=0.1, ge=0.001, le=10, description="how far a wrong answer moves the line")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of the weights that it starts with")
    hidden: bool = Field(default=False, description="two perceptrons in a hidden layer, and a third on their answers")


def page_routes(repository: ModelRepository) -> dict[str, Route]:
    """Return the route of every path in here; paths of one kind share a route, whose path stands in the metrics.

    Its functions are plain ones, which Starlette runs in a thread, so that nobody's digits wait for them.
    """

    def of_served(content: Callable[[LoadedModel], bytes]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            version = repository.served
            return Response(content(version), media_type=JSON, headers={"X-Model-Version": version.card.version})

        return answer

    def picture(request: Request) -> Response:
        version = repository.served
        path = _folder(version) / PICTURES_FOLDER / Path(request.url.path).name
        return _whole_file(path, {"X-Model-Version": version.card.version})

    single = {
        "/": _page,
        "/samples": of_served(samples_document),
        "/model/weights": of_served(weights_document),
        "/perceptron": _perceptron,
    }
    files, pictures = _route(FILES, _file), Route(PICTURE, picture)
    return (
        {path: _route(path, endpoint) for path, endpoint in single.items()}
        | {FILES.format(file=name): files for name in file_names()}
        | {PICTURE.format(name=name): pictures for name in PICTURES}
    )


def _route(path: str, endpoint: Callable[[Request], Response]) -> Route:
    """Return a route whose answers are compressed for who takes that: weights and samples are most of a page's bytes."""
    route = Route(path, endpoint)
    route.app = GZipMiddleware(route.app, minimum_size=1024, compresslevel=5)
    return route


def file_names() -> list[str]:
    """Return the names of the page's files, with the folders that they are in."""
    return sorted(path.relative_to(_WEB).as_posix() for path in _WEB.rglob("*") if path.is_file())


def _page(request: Request) -> Response:
    return _whole_file(_WEB / "index.html", _FILE_HEADERS)


def _file(request: Request) -> Response:
    return _whole_file(_WEB / request.url.path.removeprefix("/web/"), _FILE_HEADERS)


def _whole_file(path: Path, headers: Mapping[str, str]) -> Response:
    # Starlette's FileResponse would also answer parts of a file, with statuses and errors that are not in the contract.
    return Response(path.read_bytes(), media_type=file_type(path.name), headers=headers)


def file_type(name: str) -> str:
    """Return the media type of a file of that name."""
    return guess_type(name)[0] or BYTES


def _folder(version: LoadedModel) -> Path:
    if not version.folder.is_dir():
        sentence = f"{version.tag}, which is served, is no longer in the store; publish or roll back to one that is."
        raise ApiError(404, "not_found", sentence)
    return version.folder


@lru_cache(maxsize=2)
def weights_document(version: LoadedModel) -> bytes:
    """Return the JSON of weights (784, 10), for pixels scaled to 0-1, and biases (10,)."""
    if version.linear is None:
        raise ApiError(404, "not_found", f"{version.tag} is not linear: it has no weight for each pixel and digit.")
    document = {"model": version.tag, "weights": version.linear.weights, "biases": version.linear.biases}
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


@lru_cache(maxsize=2)
def samples_document(version: LoadedModel) -> bytes:
    """Return the JSON of twenty golden digits: images (20, 784), labels (20,), digits answered (20,)."""
    with np.load(_folder(version) / GOLDEN_FILE, allow_pickle=False) as golden:
        images, labels, digits = golden["images"], golden["labels"], golden["probabilities"].argmax(axis=1)
    chosen = _chosen_samples(labels, digits)
    document = {"model": version.tag, "images": images[chosen], "labels": labels[chosen], "digits": digits[chosen]}
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


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
    return Response(perceptron_document(query), media_type=JSON)


@lru_cache(maxsize=64)
def perceptron_document(query: PerceptronQuery) -> bytes:
    """Return the JSON of the units trained: one, or left, right and output of the network with a hidden layer."""
    given = (query.target, query.learning_rate, query.seed)
    units = learn_gate_with_hidden_layer(*given) if query.hidden else (learn_gate(*given),)
    return orjson.dumps(query.model_dump() | {"units": [asdict(unit) | {"learned": unit.learned} for unit in units]})
