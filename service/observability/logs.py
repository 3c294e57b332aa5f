"""One form for every log line: JSON where a machine reads, a plain line on a terminal."""

import logging
import logging.config
import sys

from opentelemetry import trace

_PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"


# uvicorn logs a line for bytes that are not HTTP, for offers of another protocol, and for connections that we close early.
# Any client could fill a disk with these.
_CAUSED_BY_CLIENTS = ("Invalid HTTP request", "Unsupported upgrade", "No supported WebSocket", "ASGI callable returned without")


def _is_not_caused_by_a_client(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_CAUSED_BY_CLIENTS)


class TraceIds(logging.Filter):
    """Adds `trace_id` and `span_id`, as the W3C writes them, to what is logged while a traced request is answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            record.trace_id, record.span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
        return True


def configure_logs() -> None:
    """Send all loggers of this process, BentoML's and uvicorn's too, to standard output in one form."""
    form = "plain" if sys.stdout.isatty() else "json"
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "plain": {"format": _PLAIN},
                "json": {
                    "()": "pythonjsonlogger.json.JsonFormatter",
                    "format": "{asctime}{levelname}{name}{process}{message}",
                    "style": "{",
                    "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
                },
            },
            "filters": {"trace": {"()": TraceIds}},
            "handlers": {
                "out": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stdout",
                    "formatter": form,
                    "filters": ["trace"],
                }
            },
            # These had handlers of their own; without them their lines reach the root, once.
            "loggers": {name: {"handlers": [], "propagate": True} for name in ("bentoml", "uvicorn.error", "circus")}
            # uvicorn does the work of its access log wherever this logger has a handler; ACCESS_LOG brings BentoML's.
            | {"uvicorn.access": {"handlers": [], "propagate": False}},
            "root": {"level": "INFO", "handlers": ["out"]},
        }
    )
    logging.getLogger("uvicorn.error").addFilter(_is_not_caused_by_a_client)
    # At INFO they repeat what we log ourselves; "bentoml.serve" names localhost where it listens on all addresses.
    for name in ("uvicorn.error", "circus", "httpx", "bentoml.serve"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It logs a line for each malformed form.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
