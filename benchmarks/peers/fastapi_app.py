"""Peer: FastAPI with pydantic models and a compiled TensorFlow function; and a route that takes and answers raw bytes."""

from contextlib import asynccontextmanager

import numpy as np
import tensorflow as tf
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from benchmarks.peers.classifier import load_classifier

models = {}


@asynccontextmanager
async def lifespan(app: FastAPI):
    """Load the model when the app starts."""
    models["classifier"] = load_classifier()
    yield
    models.clear()


app = FastAPI(lifespan=lifespan)


class Images(BaseModel):
    """Pixels (N, 784)."""

    images: list[list[float]]


class Answer(BaseModel):
    """Digits (N,) and probabilities (N, 10)."""

    digits: list[int]
    probabilities: list[list[float]]


@app.post("/predict")
async def predict(body: Images) -> Answer:
    """Answer JSON."""
    probabilities = models["classifier"](tf.constant(body.images, tf.float32)).numpy()
    return Answer(digits=probabilities.argmax(axis=1).tolist(), probabilities=probabilities.tolist())


@app.post("/predict/bytes")
async def predict_bytes(request: Request) -> Response:
    """Answer N × 10 float32 for N × 784 bytes."""
    pixels = np.frombuffer(await request.body(), np.uint8).reshape(-1, 784)
    probabilities = models["classifier"](tf.constant(pixels, tf.float32)).numpy()
    return Response(probabilities.tobytes(), media_type="application/octet-stream")
