"""The door: every request comes in here, finds its route, is counted once, and is told in one form what went wrong."""

import asyncio
import logging
import time
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import metrics, wire
from service.catalog import Catalog
from service.drain import Drain
from service.endpoint import PredictEndpoint
from service.openapi import openapi_document
from service.settings import Settings
from service.wire import Refusal

logger = logging.getLogger(__name__)

_WEB = Path(__file__).parent / "web"
# What stands in the metrics for a path that is not a route, whatever it was.
_NO_ROUTE = "none"


class Door:
    """ASGI middleware before BentoML's own application, which answers only what this leaves to it."""

    def __init__(self, app: ASGIApp, catalog: Catalog, settings: Settings, drain: Drain) -> None:
        self._app = app
        self._drain = drain
        self._catalog = catalog
        self._docs = openapi_document(settings)
        routes = [
            Route("/predict", PredictEndpoint(catalog, settings), methods=["POST"]),
            Route("/", self._page),
            Route("/model", self._model),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
            Route("/docs.json", self._docs_json),
            Route("/livez", app, methods=["GET"]),
            Route("/schema.json", app, methods=["GET"]),
        ]
        self._routes = {route.path: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = time.perf_counter()
        status: int | None = None

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        route = self._routes.get(scope["path"])
        try:
            await self._answer(route, scope, receive, send_noting_status)
        except Exception:
            # BentoML would let the client wait for `traffic.timeout` seconds if this were raised before the answer.
            logger.exception("a request failed", extra={"route": route.path if route else _NO_ROUTE})
            if status is None:
                fault = Refusal(500, "the service failed to answer; its log says why. Try again, and report it if it stays.")
                await _refuse(fault, scope, receive, send_noting_status)
        finally:
            # Where nothing was sent, BentoML's timeout has cancelled this and answers 504 itself.
            metrics.count_request(route.path if route else _NO_ROUTE, status or 504, time.perf_counter() - started)

    async def _answer(self, route: Route | None, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if route is None:
                raise Refusal(404, f"there is no {scope['path'][:80]}; send images to POST /predict, or see GET /docs.json.")
            await route.handle(scope, receive, send)
        except HTTPException as error:  # Starlette's, for a method that the route does not have
            allowed = (error.headers or {}).get("Allow", "")
            sentence = f"{scope['path']} does not take {scope['method'][:20]}; use {allowed}."
            await _refuse(Refusal(error.status_code, sentence, error.headers or {}), scope, receive, send)
        except Refusal as refusal:
            await _refuse(refusal, scope, receive, send)

    async def _page(self, request: Request) -> Response:
        return FileResponse(_WEB / "index.html")

    async def _model(self, request: Request) -> Response:
        version = self._catalog.served
        return Response(version.card.model_dump_json(), media_type=wire.JSON, headers={"X-Model-Version": version.card.version})

    async def _readyz(self, request: Request) -> Response:
        if self._drain.has_begun:
            raise Refusal(503, "this worker is about to stop; send requests to another one, or try again in some seconds.")
        # A worker takes no request before its version has answered the golden digits.
        return PlainTextResponse("\n")

    async def _metrics(self, request: Request) -> Response:
        return Response(await asyncio.to_thread(metrics.exposition), media_type=metrics.EXPOSITION_TYPE)

    async def _docs_json(self, request: Request) -> Response:
        return JSONResponse(self._docs)


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    body = wire.encode_error(str(refusal))
    await Response(body, refusal.status, refusal.headers, wire.JSON)(scope, receive, send)
