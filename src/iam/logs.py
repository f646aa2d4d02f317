"""Structured logs: one JSON object a line (or readable columns on a terminal), never a secret.

What may identify a session in a log is its session ID, which proves nothing. As a last line of
defence everything that looks like a token is masked, whatever put it there.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_TOKEN = re.compile(r"((?:ses|rft|oat|rgt)_[0-9a-z]{26})\.[A-Za-z0-9._-]+")
_SECRET_KEYS = frozenset(
    {"password", "secret", "token", "client_secret", "authorization", "cookie"}
)


def mask(_logger: object, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace secrets by `***`, by the key's name and by the look of the value."""
    for key, value in line.items():
        if key.lower() in _SECRET_KEYS:
            line[key] = "***"
        elif isinstance(value, str):
            line[key] = _TOKEN.sub(r"\1.***", value)
    return line


def configure_logs(level: str) -> None:
    """Send the logs of this program and its libraries to standard error in one form."""
    readable = sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # Before `mask`; and as text, for what is drawn on a terminal otherwise shows every local variable.
        structlog.processors.format_exc_info,
        mask,
    ]
    render: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if readable
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # It tells of its own plugins: nobody who starts a server for the first time wants to know.
    logging.getLogger("alembic").setLevel(max(root.level, logging.WARNING))
