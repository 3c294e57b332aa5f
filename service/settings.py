"""The settings of the service, read from environment variables of the same names in capitals."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.digits import MODEL_NAME


def _split(listed: object) -> object:
    return [each.strip() for each in listed.split(",")] if isinstance(listed, str) else listed


class Settings(BaseModel):
    """What an operator may choose; the defaults work."""

    model_config = ConfigDict(frozen=True)

    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="auto: a GPU if TensorFlow can use one, else the CPU"
    )
    model: str = Field(default=f"{MODEL_NAME}:latest", description="tag of the version to serve")
    reload_seconds: float = Field(default=5, ge=0, description="seconds between two looks for a new version; 0: never")
    workers: int = Field(default=1, ge=1, description="processes of the service")
    max_images: int = Field(default=1024, ge=1, description="images in one request")
    max_body_bytes: int = Field(default=16 * 2**20, ge=1, description="bytes in the body of one request")
    max_batch_images: int = Field(default=1024, ge=1, description="images in one call of the engine")
    queue_images: int = Field(default=8192, ge=1, description="images waiting for the engine; at least MAX_IMAGES")
    request_seconds: float = Field(
        default=10, gt=0, description="seconds from the complete body to the answer; and for the body to be complete"
    )
    drain_seconds: float = Field(default=0, ge=0, description="seconds of not being ready before SIGTERM stops a worker")
    access_log: bool = Field(default=False, description="log a line for each request")
    tracing: bool = Field(default=False, description="trace requests with OpenTelemetry")
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        default=(), description="origins, separated by commas, whose pages may call the service; * for any"
    )

    @field_validator("model")
    @classmethod
    def _is_a_tag_of_ours(cls, tag: str) -> str:
        if not tag.startswith(f"{MODEL_NAME}:") or tag == f"{MODEL_NAME}:":
            raise ValueError(f"a tag like {MODEL_NAME}:latest is expected")
        return tag

    @model_validator(mode="after")
    def _a_request_fits_into_the_queue(self) -> Self:
        if self.queue_images < self.max_images:
            raise ValueError(f"QUEUE_IMAGES={self.queue_images} is less than MAX_IMAGES={self.max_images}")
        return self

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings that `environment` has; a variable that is empty counts as not set.

        Raises:
            ValueError: a value cannot be used; the message names the variable, the value and what is expected.
        """
        given = {name: environment[name.upper()] for name in cls.model_fields if environment.get(name.upper())}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            which = f"{str(first['loc'][0]).upper()}={first['input']}: " if first["loc"] else ""
            raise ValueError(f"{which}{first['msg'].removeprefix('Value error, ')}.") from None
