import logging
from collections.abc import Iterator

import orjson
import pytest

from service.settings import Settings
from service.telemetry.log_setup import configure_logging
from tests.support.commands import logging_as_before

BEGAN = 1_000_000.0
AWAY = "Unable connect to node with id %s: %s"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    with logging_as_before():
        yield


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    found = [orjson.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [(line["level"], line["event"]) for line in found]


def say(name: str, at_s: float, message: str = AWAY, level: int = logging.ERROR) -> None:
    logger = logging.getLogger(name)
    record = logger.makeRecord(name, level, __file__, 1, message, (0, "refused"), None)
    record.created = BEGAN + at_s
    if logger.isEnabledFor(level):
        logger.handle(record)


def test_a_broker_that_is_away_is_one_warning(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_json=True))
    for second in range(300):
        say("aiokafka.client", second)
        say("aiokafka.consumer.fetcher", second, "Failed fetch messages from %s: %s")
    assert lines_of(capsys) == [
        ("warning", "Unable connect to node with id 0: refused"),
        ("warning", "Failed fetch messages from 0: refused"),
    ]
    say("aiokafka.client", 400.0)
    assert lines_of(capsys) == [("warning", "Unable connect to node with id 0: refused")]


def test_a_passing_warning_of_the_kafka_client_is_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_json=True))
    say("aiokafka.client", 0.0, level=logging.WARNING)
    assert lines_of(capsys) == []


def test_an_error_of_another_library_stays_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_json=True))
    for second in range(10):
        say("elsewhere", second)
    assert lines_of(capsys) == [("error", "Unable connect to node with id 0: refused")] * 2
