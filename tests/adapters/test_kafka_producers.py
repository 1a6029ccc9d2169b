"""The client that the sends of a producer share."""

from collections.abc import Callable
from typing import cast

import pytest
from aiokafka.errors import KafkaError, ProducerClosed
from structlog.testing import capture_logs

from service.adapters.kafka.clients import ProducerClient
from service.adapters.kafka.producers import _SharedClient


class MortalClient:
    """A client whose background task may end."""

    failure: KafkaError | None = None

    def on_death(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def die(self, failure: KafkaError) -> None:
        self.failure = failure
        self._tell()


@pytest.mark.anyio
async def test_a_repeated_send_says_why_its_client_died() -> None:
    client = MortalClient()
    shared = _SharedClient(cast("ProducerClient", client))
    with capture_logs() as logs, shared.call():
        client.die(ProducerClosed("out of sequence"))
    assert [(line["event"], line["calls"]) for line in logs] == [("kafka.sent_again", 1)]
    assert "out of sequence" in logs[0]["error"]
