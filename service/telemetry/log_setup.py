"""Logging setup: dotted event names with fields, on standard error, without secrets or local variables."""

import logging
import sys

import structlog

from service.settings import Settings

_REPEATED_S = 5.0
_KAFKA = "aiokafka"
_KAFKA_ERRORS = "aiokafka.errors"  # by name, so that a process without Kafka does not import it
_QUIET_S = 60.0


def configure_logging(settings: Settings) -> None:
    """Send our log and the libraries' logs to standard error, with the level and format from the settings."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(level=level, handlers=[_Libraries()], force=True)
    if level > logging.DEBUG:  # its warnings are events that we handle: rebalances, coordinator moves
        logging.getLogger(_KAFKA).setLevel(logging.ERROR)
    logging.getLogger("asyncio").addFilter(_is_news)
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
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # at each use: a live view may replace stderr
        cache_logger_on_first_use=False,
    )


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether an asyncio log record is worth logging: false for errors of aiokafka's internal futures.

    The operation that failed raises the same error.
    """
    return not (record.exc_info and any(each.__module__ == _KAFKA_ERRORS for each in type(record.exc_info[1]).__mro__))


class _Libraries(logging.Handler):
    """Passes on log records of libraries: one line each, without a traceback, and repeats at most every 5 seconds.

    aiokafka logs an error for each attempt while a broker is away, and goes on. Here that is a warning, once until it
    has been quiet for a minute. An error that ends its work is raised, and logged where it is handled.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[tuple[str, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record, unless it repeats one with the same logger and message."""
        kind, is_kafka = (record.name, str(record.msg)), record.name.partition(".")[0] == _KAFKA
        since = record.created - self._said_at.get(kind, 0.0)
        is_repeated = since < (_QUIET_S if is_kafka else _REPEATED_S)
        if is_kafka or not is_repeated:  # a repetition of aiokafka's prolongs its storm
            self._said_at[kind] = record.created
        if is_repeated:
            return
        level = min(record.levelno, logging.WARNING) if is_kafka else record.levelno
        error = {"error": repr(record.exc_info[1])} if record.exc_info else {}
        structlog.get_logger().log(level, record.getMessage(), logger=record.name, **error)
