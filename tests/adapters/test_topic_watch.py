"""Topics that vanish under a process: two brokers in a row must say so."""

from uuid import UUID

import pytest
from aiokafka.protocol.api import Response

from service.adapters.kafka.topic_watch import TopicWatch
from service.errors import TopicMissingError, TopicRecreatedError

OLD, NEW, MISSING = UUID(int=1), UUID(int=2), None
UNKNOWN_TOPIC = 3


class Answer(Response):  # type: ignore[misc]
    """Return a broker's description of topic `t`."""

    API_KEY = 3
    API_VERSION = 12

    def __init__(self, topic_id: UUID | None) -> None:
        self._id = topic_id

    def to_object(self) -> dict[str, object]:
        code = UNKNOWN_TOPIC if self._id is None else 0
        return {"topics": [{"topic": "t", "error_code": code, "topic_id": self._id or UUID(int=0)}]}


def watch(*seen: UUID | None) -> None:
    watched = TopicWatch()
    watched.use("t")
    for each in seen:
        watched.check(Answer(each))


def test_a_topic_that_stays_is_no_error() -> None:
    watch(OLD, OLD, OLD)
    watch(OLD, MISSING, OLD, MISSING, OLD)
    watch(OLD, NEW, OLD, NEW)


def test_a_topic_of_which_two_brokers_know_nothing_was_deleted() -> None:
    for seen in ((OLD, MISSING, MISSING), (MISSING, MISSING)):
        with pytest.raises(TopicMissingError, match="t was deleted"):
            watch(*seen)


def test_a_topic_of_another_id_was_created_again() -> None:
    with pytest.raises(TopicRecreatedError, match="created again"):
        watch(OLD, MISSING, NEW, NEW)
