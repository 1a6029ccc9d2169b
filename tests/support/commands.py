"""Commands in the process of the test: faster than a process of their own, and without its exit."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from typer.testing import CliRunner, Result

from service.__main__ import app


def invoke(*arguments: str) -> Result:
    """Run a command; an error that ends it is in the result."""
    with logging_as_before():
        return CliRunner().invoke(app, arguments)


@contextmanager
def logging_as_before() -> Iterator[None]:
    """Restore the configuration of logging at the end."""
    root, kafka = logging.getLogger(), logging.getLogger("aiokafka")
    handlers, levels, ours = root.handlers[:], (root.level, kafka.level), structlog.get_config()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        kafka.setLevel(levels[1])
        structlog.configure(**ours)
