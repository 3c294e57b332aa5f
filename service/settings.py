"""The settings of the service, read from environment variables of the same names in capitals."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from models.digits import MODEL_NAME
from models.engine import Device

_MIN_KEY_CHARACTERS = 16

# The names that settings had in 0.1. To ignore one silently would change what the service does.
RENAMED = MappingProxyType(
    {
        "REQUEST_SECONDS": "REQUEST_TIMEOUT_SECONDS",
        "RELOAD_SECONDS": "MODEL_POLL_SECONDS",
        "QUEUE_BYTES": "MAX_PENDING_BODY_BYTES",
        "QUEUE_SECONDS": "DECODE_QUEUE_TIMEOUT_SECONDS",
        "QUEUE_IMAGES": "MAX_QUEUED_IMAGES",
        "OPEN_METRICS": "PUBLIC_METRICS",
    }
)


def _split(listed: object) -> object:
    return [each.strip() for each in listed.split(",")] if isinstance(listed, str) else listed


def check_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return `keys` if each may be an API key. Raises ValueError, which shows none of them."""
    if any(len(key) < _MIN_KEY_CHARACTERS or not key.isascii() or not key.isprintable() or " " in key for key in keys):
        raise ValueError(f"each key needs at least {_MIN_KEY_CHARACTERS} ASCII characters and no spaces")
    return keys


class Settings(BaseModel):
    """What an operator may choose; the defaults work."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    device: Device = Field(default="auto", description="auto: a GPU if TensorFlow can use one, else the CPU")
    model: str = Field(default=f"{MODEL_NAME}:latest", description="tag of the version to serve")
    model_poll_seconds: float = Field(default=5, ge=0, description="seconds between two checks for a new version; 0: never")
    min_confidence: float | None = Field(
        default=None, ge=0, le=1, description="probability from which on an answer is accepted; empty: as the model card says"
    )
    max_novelty: float | None = Field(
        default=None, ge=0, le=1, description="novelty up to which an answer is accepted; empty: as the model card says"
    )
    replicas: int = Field(default=0, ge=0, description="services that there should be, for alerts; 0: not said")
    workers: int = Field(default=1, ge=1, description="processes of the service")
    max_images: int = Field(default=1024, ge=1, description="images in one request")
    max_body_bytes: int = Field(default=16 * 2**20, ge=1, description="bytes in the body of one request")
    max_batch_images: int = Field(default=1024, ge=1, description="images in one call of the engine")
    max_queued_images: int = Field(default=8192, ge=1, description="images waiting for the engine; at least MAX_IMAGES")
    max_pending_body_bytes: int = Field(
        default=32 * 2**20,
        ge=1,
        description="bytes of pending bodies over 64 KiB, and as much again of smaller ones; at least MAX_BODY_BYTES",
    )
    decode_queue_timeout_seconds: float = Field(
        default=1, gt=0, description="seconds that a picture may wait to be decoded before new ones get 429"
    )
    request_timeout_seconds: float = Field(
        default=10,
        gt=0,
        description="seconds for a body to be complete, from there to the answer, and for the client to read it",
    )
    drain_seconds: float = Field(
        default=0, ge=0, description="seconds between SIGTERM and the stop, in which a worker is not ready"
    )
    watchdog_seconds: float = Field(
        default=10, ge=0, description="seconds without progress after which a worker is killed and started again; 0: never"
    )
    access_log: bool = Field(default=False, description="log a line for each request")
    tracing: bool = Field(default=False, description="trace requests with OpenTelemetry")
    api_keys: Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(check_keys)] = Field(
        default=(), repr=False, description="keys, separated by commas, one of which a request must have"
    )
    api_keys_file: Path | None = Field(
        default=None, description="file with more keys, one in a line; it is read again when it changes"
    )
    public_metrics: bool = Field(default=False, description="answer /metrics without a key")
    api_docs: bool = Field(default=True, description="serve the viewer of the API at /docs")
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        default=(), description="origins, separated by commas, whose web pages may call the service; * for any"
    )

    @field_validator("model")
    @classmethod
    def _is_a_tag_of_ours(cls, tag: str) -> str:
        if not tag.startswith(f"{MODEL_NAME}:") or tag == f"{MODEL_NAME}:":
            raise ValueError(f"a tag such as {MODEL_NAME}:latest is expected")
        return tag

    @model_validator(mode="after")
    def _a_request_fits_into_the_queue(self) -> Self:
        if self.max_queued_images < self.max_images:
            raise ValueError(f"MAX_QUEUED_IMAGES={self.max_queued_images} is less than MAX_IMAGES={self.max_images}")
        if self.max_pending_body_bytes < self.max_body_bytes:
            raise ValueError(
                f"MAX_PENDING_BODY_BYTES={self.max_pending_body_bytes} is less than MAX_BODY_BYTES={self.max_body_bytes}"
            )
        return self

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings that `environment` has; a variable that is empty counts as not set.

        Raises:
            ValueError: a value cannot be used, or a name is an old one; the message names the variable and what is expected.
        """
        if old := next((name for name in RENAMED if environment.get(name)), None):
            raise ValueError(f"{old} is now called {RENAMED[old]}: set that instead, and remove {old}.")
        given = {name: environment[name.upper()] for name in cls.model_fields if environment.get(name.upper())}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            # A mistyped key must not appear in a log.
            value = "…" if name == "api_keys" else first["input"]
            which = f"{name.upper()}={value}: " if name else ""
            raise ValueError(f"{which}{first['msg'].removeprefix('Value error, ')}.") from None
