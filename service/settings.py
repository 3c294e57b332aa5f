"""The settings of the service, read from environment variables of the same names in capitals."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from models.digits import MODEL_NAME


class Settings(BaseModel):
    """What an operator may choose; the defaults work."""

    model_config = ConfigDict(frozen=True)

    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="auto: a GPU if TensorFlow can use one, else the CPU"
    )
    model: str = Field(default=f"{MODEL_NAME}:latest", description="tag of the version to serve")
    workers: int = Field(default=1, ge=1, description="processes of the service")
    max_images: int = Field(default=1024, ge=1, description="images in one request")
    max_body_bytes: int = Field(default=16 * 2**20, ge=1, description="bytes in the body of one request")
    request_seconds: float = Field(default=10, gt=0, description="seconds for a body to be complete")
    drain_seconds: float = Field(default=0, ge=0, description="seconds of not being ready before SIGTERM stops a worker")
    access_log: bool = Field(default=False, description="log a line for each request")
    tracing: bool = Field(default=False, description="trace requests with OpenTelemetry")

    @field_validator("model")
    @classmethod
    def _is_a_tag_of_ours(cls, tag: str) -> str:
        if not tag.startswith(f"{MODEL_NAME}:") or tag == f"{MODEL_NAME}:":
            raise ValueError(f"a tag like {MODEL_NAME}:latest is expected")
        return tag

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
            raise ValueError(f"{str(first['loc'][0]).upper()}={first['input']}: {first['msg']}.") from None
