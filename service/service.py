"""DigitClassifier, the BentoML service: declares the API, loads the model, wires the rooms together."""

import asyncio
import os

import bentoml
import numpy as np
from bentoml.exceptions import BentoMLConfigException

from models.engine import NoGpuError, require_gpu
from service.http.app import App
from service.http.key_file import KeyFile, KeyFileError
from service.inference.health import EngineHealth
from service.inference.model_loading import ModelLoadError, find_version
from service.inference.model_repository import ModelRepository, first_servable
from service.inference.predictor import Predictor
from service.observability import metrics
from service.observability.logs import configure_logs
from service.observability.sampling import sample
from service.observability.shared_rows import share_rows
from service.process.heartbeat import Heartbeats
from service.process.listening import DEFAULT_HOST, AddressError, check_chosen_address
from service.process.memory import freeze_start_up_heap, keep_freed_memory, limit_arenas
from service.process.open_files import raise_open_files_limit
from service.process.shutdown import Shutdown
from service.process.watchdog import Watchdog
from service.protocols.native import PredictionResponse, encode_prediction
from service.settings import Settings


def _settings() -> Settings:
    try:
        return Settings.from_environment(os.environ)
    except ValueError as error:
        # BentoML's command line shows its own exceptions as one sentence, and others as tracebacks.
        raise BentoMLConfigException(str(error)) from None


SETTINGS = _settings()
REPOSITORY = ModelRepository(SETTINGS.model, SETTINGS.device, SETTINGS.min_confidence, SETTINGS.max_novelty)
PREDICTOR = Predictor(REPOSITORY, SETTINGS)
HEALTH = EngineHealth(PREDICTOR.batcher, REPOSITORY, SETTINGS.request_timeout_seconds)
SHUTDOWN = Shutdown(SETTINGS.drain_seconds)


@bentoml.service(
    name="digit-classifier",
    http={"host": DEFAULT_HOST},  # pyright: ignore[reportArgumentType]: annotated with a type that it is parsed into
    workers=SETTINGS.workers,
    # BentoML's limit covers receiving and answering and is only a backstop for ours, which have sentences.
    traffic={"timeout": 2 * SETTINGS.request_timeout_seconds + 1},
    # Ours take their place: theirs label by raw path, so that every unknown path makes new series.
    metrics={"enabled": False},
    logging={"access": {"enabled": SETTINGS.access_log}},
    tracing={"excluded_urls": "" if SETTINGS.tracing else ".*"},
)
class DigitClassifier:
    """Answers which digit each image shows."""

    def __init__(self) -> None:
        configure_logs()
        keep_freed_memory()
        raise_open_files_limit()
        heartbeats, worker = Heartbeats.shared(), bentoml.server_context.worker_index or 0
        metrics.WORKERS_KILLED.add(amount=heartbeats.begin(worker))
        REPOSITORY.load()
        SHUTDOWN.begin_on_sigterm()
        # What the engine has answered: while there are no requests, the golden digits of HEALTH.
        beat = heartbeats.beat(worker, lambda: PREDICTOR.batcher.num_answered)
        watches = (REPOSITORY.watch(SETTINGS.model_poll_seconds), HEALTH.watch(), sample(), beat)
        # Held here, because the event loop holds its tasks only weakly.
        self._watching = [asyncio.get_running_loop().create_task(watch) for watch in watches]
        freeze_start_up_heap()

    @bentoml.on_deployment
    @staticmethod
    def check_before_start() -> None:
        """Fail before any worker starts, with one sentence, where no worker could serve."""
        from service.process.supervisor import supervise_with  # workers need not have what it imports

        configure_logs()
        os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
        limit_arenas(os.environ)
        share_rows(os.environ)
        supervise_with(Watchdog(Heartbeats.to_share(os.environ), SETTINGS.watchdog_seconds))
        try:
            first_servable(SETTINGS.model, find_version)
            if SETTINGS.device == "gpu":
                require_gpu()
            if SETTINGS.api_keys_file:
                KeyFile(SETTINGS.api_keys_file)
            check_chosen_address()
        except (ModelLoadError, NoGpuError, KeyFileError, AddressError) as error:
            raise BentoMLConfigException(str(error)) from None

    # Declared without a shape, because BentoML's client then takes nested lists and arrays alike. Over HTTP the app
    # answers in its place: BentoML's own path costs several times more and reshapes what it should refuse.
    @bentoml.api
    async def predict(self, images: np.ndarray) -> PredictionResponse:
        """Answer which digit each image shows: (N, 784) or (N, 28, 28) pixels from 0 to 255."""
        return PredictionResponse.model_validate_json(encode_prediction(await PREDICTOR.predict(images)))


DigitClassifier.add_asgi_middleware(
    App,  # pyright: ignore[reportArgumentType]: BentoML's protocol describes the class as its own instance
    predictor=PREDICTOR,
    health=HEALTH,
    settings=SETTINGS,
    shutdown=SHUTDOWN,
)
