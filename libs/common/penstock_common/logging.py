"""JSON log lines with the request's and the trace's id, and never a prompt."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict

from penstock_common.rpc.scope import CURRENT_SCOPE

_TRACE_ID = slice(3, 35)
_CALLERS_DOING = {"UnicodeDecodeError", "ExecuteBatchError"}
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logging(level: str = "info", stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records to ``stream`` (stderr) as JSON lines."""
    out = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            add_request_ids,
            structlog.processors.format_exc_info,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(_StandardFormatter())
    handler.addFilter(_is_ours_to_tell)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def add_request_ids(_: Any, __: str, event: EventDict) -> EventDict:
    """Add the ids of the request that is being served, if one is."""
    scope = CURRENT_SCOPE.get()
    if scope.request_id:
        event["request_id"] = scope.request_id
    if scope.traceparent:
        event["trace_id"] = scope.traceparent[_TRACE_ID]
    return event


def _render(_: Any, __: str, event: EventDict) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=str).decode()
    except UnicodeEncodeError:
        # Half a surrogate pair, which a caller's JSON can hold. To log must not fail a request.
        return json.dumps(event, default=str).encode("ascii").decode()


def _is_ours_to_tell(record: logging.LogRecord) -> bool:
    """Return whether a library's record may be written.

    Of metadata or a path that is no UTF-8 gRPC writes the value, which a caller
    chose and which may be a secret, with a traceback and as often as anybody
    likes. The call is answered all the same. And it tells of each caller that has
    left before its call was refused.
    """
    cause = record.exc_info[1] if record.exc_info else None
    return record.name != "grpc._cython.cygrpc" or type(cause).__name__ not in _CALLERS_DOING


class _StandardFormatter(logging.Formatter):
    """Renders records of libraries that use the standard library's logging."""

    def format(self, record: logging.LogRecord) -> str:
        event: EventDict = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "logger": record.name,
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return _render(None, "", add_request_ids(None, "", event))
