"""Floor: an endpoint of an otherwise empty BentoML service that reads the body and answers a constant."""

import os
from pathlib import Path

import bentoml
from starlette.responses import Response

ANSWERS = {int(file.stem): (file.read_bytes(), file.suffix) for file in Path(os.environ["FLOOR_ANSWERS"]).iterdir()}
TYPES = {".json": "application/json", ".raw": "application/octet-stream"}


class Body(bentoml.IODescriptor):
    """The body as it came; BentoML would parse it as JSON, which is not part of this floor."""

    size: int

    @classmethod
    async def from_http_request(cls, request, serde):
        """Read the body."""
        return cls(size=len(await request.body()))


@bentoml.service
class BareService:
    """One endpoint, all options at their defaults."""

    @bentoml.api(input_spec=Body)
    async def predict(self, size: int):
        """Answer what is stored for a body of this size."""
        answer, suffix = ANSWERS[size]
        return Response(answer, media_type=TYPES[suffix])
