"""`/docs`: the OpenAPI document as a page where requests can be tried, by the Swagger UI in BentoML's package."""

from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import bentoml
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.http.documents import FILE_HEADERS, Document, file_type, known

INDEX, FILE = "/docs", "/docs/{file}"

_OURS = Path(__file__).parent.parent / "api_docs"
_SWAGGER_UI = Path(bentoml.__file__).parent / "_internal/server/static_content"
FOLDERS = MappingProxyType({"docs.js": _OURS, "swagger-ui.css": _SWAGGER_UI, "swagger-ui-bundle.js": _SWAGGER_UI})

# Swagger UI's symbols are data: addresses, and the pictures that it is answered are blob: ones.
_POLICY = FILE_HEADERS["Content-Security-Policy"].replace("img-src 'self'", "img-src 'self' data: blob:")


def api_docs_routes() -> list[Route]:
    """Return the routes of the viewer; their functions run in a thread, as those of the page."""

    def index(request: Request) -> Response:
        return _document(_OURS / "index.html").answer(request)

    def file(request: Request) -> Response:
        name = known(request.path_params["file"], FOLDERS)
        return _document(FOLDERS[name] / name).answer(request)

    return [Route(INDEX, index), Route(FILE, file)]


@lru_cache
def _document(path: Path) -> Document:
    # Once it is asked for: compressing takes 0.1 s of CPU, and most workers never are.
    return Document(path.read_bytes(), file_type(path.name), {**FILE_HEADERS, "Content-Security-Policy": _POLICY})
