"""Logs: dotted events with fields, to standard error, never a secret and never a local variable."""

import logging
import sys

import structlog
from aiokafka.errors import KafkaError

from service.settings import Settings

_REPEATED_S = 5.0


def configure_logging(settings: Settings) -> None:
    """Send our log and that of the libraries to standard error, in the form that was asked for."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(level=level, handlers=[_Libraries()], force=True)
    if level > logging.DEBUG:  # its warnings are what is handled here: rebalances, coordinators that move
        logging.getLogger("aiokafka").setLevel(logging.ERROR)
    logging.getLogger("asyncio").addFilter(_is_not_told_elsewhere)
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # looked up anew: a live view may stand there
        cache_logger_on_first_use=False,
    )


def _is_not_told_elsewhere(record: logging.LogRecord) -> bool:
    """Return whether a complaint of asyncio tells anything: aiokafka has futures of its own that nobody can ask.

    What they end with is raised from the operation that failed.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], KafkaError))


class _Libraries(logging.Handler):
    """Says what libraries log as we say things ourselves: in a line, without a traceback, and not again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[tuple[str, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, unless its like was passed on a moment ago."""
        kind = (record.name, str(record.msg))
        if record.created - self._said_at.get(kind, 0.0) < _REPEATED_S:
            return
        self._said_at[kind] = record.created
        error = {"error": repr(record.exc_info[1])} if record.exc_info else {}
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name, **error)
