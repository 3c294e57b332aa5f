"""Floor: read the body, answer a constant. Run by uvicorn; `FLOOR_ANSWERS` names a folder of answers by body size."""

import os
from pathlib import Path

ANSWERS = {int(file.stem): (file.read_bytes(), file.suffix) for file in Path(os.environ["FLOOR_ANSWERS"]).iterdir()}
TYPES = {".json": b"application/json", ".raw": b"application/octet-stream"}


async def app(scope, receive, send):
    """Answer what is stored for a body of this size."""
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    answer, suffix = ANSWERS[size]
    headers = [(b"content-type", TYPES[suffix]), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
