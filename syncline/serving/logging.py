"""Logs: one JSON object per line on standard error, with time, level, service, event and what is bound to the context.

Never a secret, and nothing that people wrote: ids say which library and node is meant (``discretion.py``).
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog

from syncline.ports import tracing
from syncline.serving.discretion import discreet, discreet_traceback

Logger = structlog.typing.FilteringBoundLogger

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logging(service: str, level: str = "info", *, names: bool = False) -> None:
    """Send our log lines and those of libraries to standard error. ``level``: debug, info, warning or error.

    ``names``: the texts of errors stay as they are, with the names that they quote."""
    minimum = _LEVELS.get(level.lower(), logging.INFO)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.add_log_level,
        _name_service(service),
        _name_trace,
        structlog.processors.format_exc_info,
        *(() if names else (_leave_names_out,)),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_to_json)],
        wrapper_class=structlog.make_filtering_bound_logger(minimum),
        logger_factory=lambda *_ignored: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries are chatty below a warning, and their lines may hold keys and names.
    root.setLevel(max(minimum, logging.WARNING))


def get_logger(**bound: object) -> Logger:
    """A logger with these members on every line."""
    logger: Logger = structlog.get_logger(**bound)
    return logger


def bind_context(**members: object) -> None:
    """Add members to every further line of the current task (``request``, ``account``, ``library``, ``seq``)."""
    structlog.contextvars.bind_contextvars(**members)


def clear_context() -> None:
    structlog.contextvars.clear_contextvars()


def _name_service(service: str) -> structlog.typing.Processor:
    def add(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    return add


def _name_trace(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if trace := tracing.current_trace_id():
        event["trace"] = trace
    return event


def _leave_names_out(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for member, text in event.items():
        if isinstance(text, str):
            event[member] = discreet_traceback(text) if member == "exception" else discreet(text)
    return event


def _to_json(value: object, **_ignored: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
