"""The servers that are compared: how each is started, and which forms it takes at which path."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.scenarios import JSON, RAW, SQUARE_JSON, Form


@dataclass(frozen=True, eq=False)
class Server:
    """A program that answers images. `command` has `{port}` where the port belongs; `paths` is by form."""

    name: str
    title: str
    command: tuple[str, ...]
    paths: Mapping[Form, str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def command_on(self, port: int) -> list[str]:
        return [part.format(port=port) for part in self.command]


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)


def _bentoml(service: str) -> tuple[str, ...]:
    return _python("-m", "bentoml", "serve", service, "--host", "127.0.0.1", "--port", "{port}")


def _uvicorn(app: str) -> tuple[str, ...]:
    return _python("-m", "uvicorn", app, "--host", "127.0.0.1", "--port", "{port}", "--no-access-log")


_JSON_ALONE = {JSON: "/predict"}
_CONSTANT = {JSON: "/predict", RAW: "/predict"}

OURS = Server("ours", "this service", _bentoml("."), dict.fromkeys((JSON, SQUARE_JSON, RAW), "/predict"))
SERVERS = (
    OURS,
    Server("uvicorn-floor", "bare uvicorn, a constant", _uvicorn("benchmarks.peers.bare_uvicorn:app"), _CONSTANT),
    Server(
        "bentoml-floor", "empty BentoML service, a constant", _bentoml("benchmarks.peers.bare_bentoml:BareService"), _CONSTANT
    ),
    Server("bentoml", "BentoML, batchable, Keras", _bentoml("benchmarks.peers.stock_bentoml:StockClassifier"), _JSON_ALONE),
    Server(
        "fastapi",
        "FastAPI, pydantic, tf.function",
        _uvicorn("benchmarks.peers.fastapi_app:app"),
        {JSON: "/predict", RAW: "/predict/bytes"},
    ),
    Server(
        "litserve", "LitServe, batching, tf.function", _python("-m", "benchmarks.peers.litserve_server", "{port}"), _JSON_ALONE
    ),
    Server(
        "mosec",
        "Mosec, batching, tf.function",
        _python("-m", "benchmarks.peers.mosec_server", "--address", "127.0.0.1", "--port", "{port}"),
        _JSON_ALONE,
    ),
)
