"""The OpenAPI document of the whole HTTP contract, made from the tables that the code itself uses."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from models.digits import IMAGE_SHAPE, MAX_PIXEL, NUM_PIXELS
from service.http import api_docs
from service.http.auth import public_routes
from service.http.documents import file_type
from service.http.pages import FILES, PICTURE, PICTURES, PerceptronQuery, file_names
from service.inference.versions import VersionList
from service.observability.metrics import STAGES
from service.protocols.media_types import BYTES, JPEG, JSON, MULTIPART, NPY, PNG, REQUEST_FORMATS
from service.protocols.native import ErrorResponse, PredictionResponse
from service.settings import Settings

_CONTRACT_VERSION = "1"
_ROWS, _COLUMNS = IMAGE_SHAPE
_SCHEMAS = "#/components/schemas/"
_BINARY = {"type": "string", "format": "binary"}


def openapi_document(settings: Settings) -> dict[str, Any]:
    """Return the document (OpenAPI 3.1) for a service that runs with `settings`."""
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Digit classifier",
            "version": _CONTRACT_VERSION,
            "description": "Answers which digit each image of 28×28 pixels shows.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "."}],
        "paths": {
            "/predict": {"post": _predict(settings)},
            "/model": {"get": _get("The card of the version that is served.", JSON)},
            "/model/versions": {"get": _get("The version that is served, and the newest beside it.", JSON, model=VersionList)},
            **_page_paths(settings),
            "/livez": {"get": _get("200 unless the engine has not answered for long.", "text/plain", refusals=_ENGINE_SILENT)},
            "/readyz": {"get": _get("200 once the version answered its golden digits.", "text/plain", refusals=_DRAINING)},
            "/metrics": {"get": _metrics()},
            "/docs.json": {"get": _get("This document.", JSON)},
            "/schema.json": {"get": _get("The API as BentoML's client reads it.", JSON)},
        },
        "components": {"schemas": _schemas()},
    }
    if settings.api_keys or settings.api_keys_file:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
        for path in public_routes(settings.public_metrics) & document["paths"].keys():
            document["paths"][path]["get"]["security"] = []
    return document


def _schemas() -> dict[str, Any]:
    models = PredictionResponse, ErrorResponse, VersionList
    schemas = models_json_schema([(model, "serialization") for model in models], ref_template=_SCHEMAS + "{model}")
    return schemas[1]["$defs"]


_NO_KEY = {401: "No key or one that is not known, where keys are set."}
_GONE = _NO_KEY | {404: "The version that is served is no longer in the store."}
_NO_SUCH = _NO_KEY | {404: "There is none of that name, or the version that is served is no longer in the store."}
_NOT_LINEAR = _NO_KEY | {404: "The version that is served is not linear in the pixels received."}
_MALFORMED = _NO_KEY | {400: "The query is not what it should be; the sentence says what is wrong."}
_ENGINE_SILENT = {503: "The engine does not answer; restart this worker."}
_DRAINING = {503: "This worker is stopping, or its engine does not answer."}


def _get(
    description: str,
    *media_types: str,
    parameters: Sequence[Any] = (),
    refusals: Mapping[int, str] = _NO_KEY,
    model: type[BaseModel] | None = None,
) -> dict[str, Any]:
    content = {"schema": {"$ref": _SCHEMAS + model.__name__}} if model else {}
    answer = {"description": description, "content": dict.fromkeys(media_types, content)}
    return {"summary": description, "parameters": parameters, "responses": {"200": answer} | _refused(refusals)}


def _metrics() -> dict[str, Any]:
    operation = _get("Metrics of all workers, for Prometheus.", "text/plain")
    header = {"description": "The service that answered, whichever its worker.", "schema": {"type": "string"}}
    operation["responses"]["200"]["headers"] = {"X-Instance": header}
    return operation


def _page_paths(settings: Settings) -> dict[str, Any]:
    query = PerceptronQuery.model_json_schema()["properties"]
    in_query = [{"name": name, "in": "query", "schema": schema} for name, schema in query.items()]
    file, picture = _in_path("file", file_names()), _in_path("name", PICTURES)
    operations = {
        "/": _get("The page: draw a digit and see why.", "text/html"),
        FILES: _get("A file of the page.", *sorted(map(file_type, file_names())), parameters=file, refusals=_NO_SUCH),
        "/samples": _get("Twenty digits to try: images, labels, and the digits answered.", JSON, refusals=_GONE),
        "/model/weights": _get("784×10 weights, for pixels scaled to 0-1, and 10 biases.", JSON, refusals=_NOT_LINEAR),
        PICTURE: _get("A picture of the version that is served.", PNG, parameters=picture, refusals=_NO_SUCH),
        "/perceptron": _get(
            "A perceptron's training on the unit square's corners, by epoch.", JSON, parameters=in_query, refusals=_MALFORMED
        ),
    }
    if settings.api_docs:
        viewer = _in_path("file", sorted(api_docs.FOLDERS))
        operations[api_docs.INDEX] = _get("This document as a page where requests can be tried.", "text/html")
        operations[api_docs.FILE] = _get(
            "A file of that page.", "text/css", "text/javascript", parameters=viewer, refusals=_NO_SUCH
        )
    for operation in operations.values():
        operation["responses"]["304"] = {"description": "The client has it: its ETag is in If-None-Match."}
    return {path: {"get": operation} for path, operation in operations.items()}


def _in_path(name: str, values: Sequence[str]) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string", "enum": list(values)}}]


def _predict(settings: Settings) -> dict[str, Any]:
    refusals = _NO_KEY | {
        400: "The body is not what its media type says; the sentence names image and pixel.",
        408: f"The body was not complete after {settings.request_timeout_seconds:g} s.",
        413: f"More than {settings.max_body_bytes:,} bytes or {settings.max_images:,} images.",
        415: f"The media type is none of: {', '.join(REQUEST_FORMATS)}; or the body has a Content-Encoding.",
        429: "Overloaded: the queue is full; retry after Retry-After seconds.",
        500: "A fault of the service.",
        504: f"There was no answer within {settings.request_timeout_seconds:g} s.",
    }
    return {
        "operationId": "predict",
        "summary": "Answer which digit each image shows.",
        "parameters": [_flag(name, description) for name, description in _FLAGS.items()],
        "requestBody": {"required": True, "content": {each: {"schema": _body(each, settings)} for each in REQUEST_FORMATS}},
        "responses": {"200": _ANSWER} | _refused(refusals),
        "x-limits": {"max_body_bytes": settings.max_body_bytes, "max_images": settings.max_images},
    }


_FLAGS = {
    "explain": "Add the evidence for each answer; with a JSON answer only.",
    "seen": "Add the 28×28 pixels that the model was given for each image; with a JSON answer only.",
}


def _flag(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "boolean", "default": False}}


_ANSWER = {
    "description": "The answers, in the order of the images; as bytes, N × 10 little-endian float32 probabilities.",
    "headers": {
        "X-Model-Version": {"description": "The version that answered.", "schema": {"type": "string"}},
        "Server-Timing": {"description": f"Milliseconds for: {', '.join(STAGES)}.", "schema": {"type": "string"}},
    },
    "content": {JSON: {"schema": {"$ref": _SCHEMAS + "PredictionResponse"}}, BYTES: {"schema": _BINARY}},
}


def _refused(refusals: Mapping[int, str]) -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": _SCHEMAS + "ErrorResponse"}}}
    return {
        str(status): {"description": sentence, "content": content} | (_RETRIED if status in (429, 503, 504) else {})
        for status, sentence in refusals.items()
    }


_RETRIED = {"headers": {"Retry-After": {"description": "Seconds after which to send it again.", "schema": {"type": "integer"}}}}


def _body(media_type: str, settings: Settings) -> dict[str, Any]:
    if media_type == JSON:
        return _json_body(settings)
    if media_type == MULTIPART:
        return {"type": "object", "additionalProperties": _BINARY, "description": _BODIES[MULTIPART]}
    return _BINARY | {"description": _BODIES[media_type]}


_BODIES = {
    BYTES: "N × 784 bytes, one unsigned byte a pixel, row by row.",
    NPY: "A .npy array of real numbers, shape (N, 784), (N, 28, 28) or (28, 28).",
    PNG: "One picture of one digit, any size, dark on light or light on dark.",
    JPEG: "One picture of one digit, any size, dark on light or light on dark.",
    MULTIPART: "One PNG or JPEG in each part, in order; the names do not matter.",
}


_STROKE = [MAX_PIXEL * (5 <= row < 23 and 13 <= column < 15) for row in range(_ROWS) for column in range(_COLUMNS)]


def _json_body(settings: Settings) -> dict[str, Any]:
    pixel = {"type": "number", "minimum": 0, "maximum": MAX_PIXEL}
    flat, square = _array(pixel, NUM_PIXELS), _array(_array(pixel, _COLUMNS), _ROWS)
    images = [{"type": "array", "items": image, "minItems": 1, "maxItems": settings.max_images} for image in (flat, square)]
    return {
        "type": "object",
        "required": ["images"],
        "properties": {"images": {"oneOf": images}},
        "additionalProperties": False,
        "examples": [{"images": [_STROKE]}],
    }


def _array(items: dict[str, Any], count: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": count, "maxItems": count}
