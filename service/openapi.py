"""The OpenAPI document of the whole HTTP contract, made from the tables that the code itself uses."""

from typing import Any

from models.digits import IMAGE_SHAPE, MAX_PIXEL, NUM_PIXELS
from service import wire
from service.pages import page_paths
from service.settings import Settings

_CONTRACT_VERSION = "1"
_ROWS, _COLUMNS = IMAGE_SHAPE


def openapi_document(settings: Settings) -> dict[str, Any]:
    """Return the document (OpenAPI 3.1) for a service that runs with `settings`."""
    return {
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
            "/model": {"get": _get("The card of the version that is served.", "application/json")},
            **page_paths(),
            "/livez": {"get": _get("200 as long as the process lives.", "text/plain")},
            "/readyz": {"get": _get("200 once the served version has answered its golden digits.", "text/plain")},
            "/metrics": {"get": _get("Metrics of all workers, for Prometheus.", "text/plain")},
            "/docs.json": {"get": _get("This document.", "application/json")},
            "/schema.json": {"get": _get("The API as BentoML's client reads it.", "application/json")},
        },
        "components": {"schemas": {"Answer": wire.Answer.model_json_schema(), "Error": wire.Error.model_json_schema()}},
    }


def _get(description: str, media_type: str) -> dict[str, Any]:
    return {"summary": description, "responses": {"200": {"description": description, "content": {media_type: {}}}}}


def _predict(settings: Settings) -> dict[str, Any]:
    refusals = {
        400: "The body is not what its media type says; the sentence names image and pixel.",
        408: f"The body was not complete after {settings.request_seconds:g} s.",
        413: f"More than {settings.max_body_bytes:,} bytes or {settings.max_images:,} images.",
        415: f"The media type is none of: {', '.join(wire.READERS)}.",
        500: "A fault of the service.",
    }
    return {
        "operationId": "predict",
        "summary": "Answer which digit each image shows.",
        "requestBody": {
            "required": True,
            "content": {media_type: {"schema": _BODIES[media_type](settings)} for media_type in wire.READERS},
        },
        "responses": {
            "200": {
                "description": "The answers, in the order of the images.",
                "headers": {"X-Model-Version": {"description": "The version that answered.", "schema": {"type": "string"}}},
                "content": {wire.JSON: {"schema": {"$ref": "#/components/schemas/Answer"}}},
            }
        }
        | {str(status): _refusal(description) for status, description in refusals.items()},
    }


def _refusal(description: str) -> dict[str, Any]:
    return {"description": description, "content": {wire.JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}}


def _json_body(settings: Settings) -> dict[str, Any]:
    pixel = {"type": "number", "minimum": 0, "maximum": MAX_PIXEL}
    flat, square = _array(pixel, NUM_PIXELS), _array(_array(pixel, _COLUMNS), _ROWS)
    images = [{"type": "array", "items": image, "minItems": 1, "maxItems": settings.max_images} for image in (flat, square)]
    return {
        "type": "object",
        "required": ["images"],
        "properties": {"images": {"oneOf": images}},
        "additionalProperties": False,
    }


def _array(items: dict[str, Any], count: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": count, "maxItems": count}


_BODIES = {wire.JSON: _json_body}
