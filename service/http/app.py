"""Every request: its route, its metrics, and what went wrong in one form."""

import asyncio
import logging
from collections.abc import Iterator

from opentelemetry import trace
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ApiError, unavailable
from service.http.api_docs import api_docs_routes
from service.http.auth import ApiKeyAuth
from service.http.connections import accept_all_pending
from service.http.endpoint import InferenceEndpoint
from service.http.openapi import openapi_document
from service.http.pages import page_routes
from service.http.request_body import BodyReader, ByteBudget
from service.http.request_cycle import RequestCycle
from service.http.router import Router
from service.images.decode_pool import DecodePool
from service.inference.health import EngineHealth
from service.inference.predictor import Predictor
from service.inference.versions import list_versions
from service.observability import metrics
from service.process.shutdown import Shutdown
from service.process.throughput import whole_seconds
from service.protocols.media_types import JSON
from service.protocols.native import encode_error
from service.protocols.routes import INFERENCE_ROUTES
from service.settings import Settings

logger = logging.getLogger(__name__)

# The label of requests to unknown paths, whatever they are.
_UNMATCHED = "unmatched"

_INTERNAL = ApiError(500, "internal", "the service failed to answer; its log says why. Try again, and report it if it stays.")


class App:
    """ASGI middleware before BentoML's own application, which answers only what this leaves to it."""

    def __init__(
        self, app: ASGIApp, predictor: Predictor, health: EngineHealth, settings: Settings, shutdown: Shutdown
    ) -> None:
        self._app = app
        self._shutdown = shutdown
        self._health = health
        self._repository = predictor.repository
        self._keys = ApiKeyAuth(settings.api_keys, settings.public_metrics, settings.api_keys_file)
        self._docs = openapi_document(settings)
        self._budget = ByteBudget(settings.max_pending_body_bytes)
        routes = [
            *_inference_routes(predictor, settings, self._budget),
            Route("/model", self._model),
            Route("/model/versions", self._versions),
            Route("/livez", self._livez),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
            Route("/docs.json", self._docs_json),
            Route("/schema.json", app, methods=["GET"]),
            *page_routes(self._repository),
            *(api_docs_routes() if settings.api_docs else ()),
        ]
        by_path = {route.path: route for route in routes}
        self._router = Router(by_path)
        metrics.start({_UNMATCHED, *(route.path for route in by_path.values())})
        metrics.BODY_BYTES_LIMIT.set(settings.max_pending_body_bytes)
        metrics.IMAGES_QUEUED_LIMIT.set(settings.max_queued_images)
        metrics.EXPECTED_REPLICAS.set(settings.replicas)
        self._answer_with_cors = _with_cors(self._answer, settings.cors_origins)
        # When the engine will have been asked once more, and when this worker will have stopped.
        self._retry_silent_seconds = whole_seconds(settings.request_timeout_seconds)
        self._retry_drained_seconds = whole_seconds(settings.drain_seconds)
        self._timeout_seconds = settings.request_timeout_seconds
        self._is_traced = settings.tracing
        self._is_first = not (settings.access_log or settings.tracing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                # The server starts to listen after this.
                accept_all_pending(asyncio.get_running_loop(), self._budget, self._timeout_seconds)
                if self._is_first:
                    self._move_to_the_front(scope["app"])
            return await self._app(scope, receive, send)
        route = scope["route"] = self._router.find(scope)
        label = route.path if route else _UNMATCHED
        send = _naming_its_span(send) if self._is_traced else send
        cycle = RequestCycle(scope, receive, send, label, self._timeout_seconds)
        try:
            await self._answer_with_cors(scope, cycle.receive, cycle.send)
        except ClientDisconnect:  # in the middle of its answer
            pass
        except Exception:
            # BentoML would let the client wait for `traffic.timeout` seconds if this were raised before the answer.
            logger.exception("a request failed", extra={"route": label})
            if cycle.status is None:
                await _send_error(_INTERNAL, scope, cycle.receive, cycle.send)
        finally:
            cycle.count()

    def _move_to_the_front(self, app: Starlette) -> None:
        """Let requests come here before they pass BentoML's middleware.

        Its timeout starts a timer for each request that nothing cancels, so that what belongs to a request lives as
        long as the timeout: at 8,000 requests/s a heap that grows by 100 MB and stalls each full garbage collection.
        The limits are ours anyway. Its access log and its tracing are middleware too; with one of them on, all stays.
        """
        app.middleware_stack = self

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = scope["route"]
        try:
            self._keys.check(route.path if route else None, scope["method"], scope["headers"])
            if route is None:
                sentence = f"there is no {scope['path'][:80]}; send images to POST /predict, or see GET /docs.json."
                raise ApiError(404, "not_found", sentence)
            await route.handle(scope, receive, send)
        except HTTPException as error:  # Starlette's, for a method that the route does not have
            allowed = (error.headers or {}).get("Allow", "")
            sentence = f"{scope['path'][:80]} does not take {scope['method'][:20]}; use {allowed}."
            await _send_error(ApiError(405, "method", sentence, error.headers or {}), scope, receive, send)
        except ApiError as error:
            await _send_error(error, scope, receive, send)

    async def _model(self, request: Request) -> Response:
        version = self._repository.served
        return Response(version.card.model_dump_json(), media_type=JSON, headers={"X-Model-Version": version.card.version})

    async def _versions(self, request: Request) -> Response:
        repository = self._repository
        versions = await asyncio.to_thread(list_versions, repository.served, is_fallback=repository.is_fallback)
        return Response(versions.model_dump_json(), media_type=JSON)

    async def _livez(self, request: Request) -> Response:
        if not self._health.is_alive():
            sentence = "the engine does not answer, and has not for long; restart this worker"
            raise unavailable("engine_silent", sentence, self._retry_silent_seconds)
        return PlainTextResponse("\n")

    async def _readyz(self, request: Request) -> Response:
        if self._shutdown.has_begun:
            sentence = "this worker is stopping; send requests to another one"
            raise unavailable("draining", sentence, self._retry_drained_seconds)
        if not self._health.is_ready():
            sentence = "the engine does not answer; send requests to another replica"
            raise unavailable("engine_silent", sentence, self._retry_silent_seconds)
        # A worker takes no request before its version has answered the golden digits.
        return PlainTextResponse("\n")

    async def _metrics(self, request: Request) -> Response:
        # Behind a proxy each answer may be another replica's, and only within one do counters make rates.
        headers = {"X-Instance": metrics.TABLE.instance}
        return Response(await asyncio.to_thread(metrics.exposition), headers=headers, media_type=metrics.EXPOSITION_TYPE)

    async def _docs_json(self, request: Request) -> Response:
        return JSONResponse(self._docs)


def _inference_routes(predictor: Predictor, settings: Settings, budget: ByteBudget) -> Iterator[Route]:
    bodies = BodyReader(settings.max_body_bytes, budget, settings.request_timeout_seconds)
    decode_pool = DecodePool(settings.decode_queue_timeout_seconds)
    for path, open_call in INFERENCE_ROUTES.items():
        endpoint = InferenceEndpoint(open_call, predictor, bodies, decode_pool, settings.max_images)
        yield Route(path, endpoint, methods=["POST"])


def _naming_its_span(send: Send) -> Send:
    async def send_with_span(message: Message) -> None:
        if message["type"] == "http.response.start":
            span = b"%016x" % trace.get_current_span().get_span_context().span_id
            message["headers"] = [*message["headers"], (b"x-request-id", span)]
        await send(message)

    return send_with_span


def _with_cors(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Let pages of `origins` call the service. BentoML's own option for this does not reach this app."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST"),
        allow_headers=("Content-Type", "Authorization"),
        expose_headers=("X-Model-Version", "X-Instance", "Server-Timing", "Retry-After"),
    )


async def _send_error(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    metrics.REJECTED.add(error.reason)
    await Response(encode_error(str(error)), error.status, error.headers, JSON)(scope, receive, send)
