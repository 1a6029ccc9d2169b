"""Notices topics that are deleted, or deleted and created again, while a process works with them.

aiokafka waits for a missing topic for ever, and reads a new topic of the same name from the offset of the old one.
"""

from aiokafka.errors import LeaderNotAvailableError, NoError, for_code
from aiokafka.protocol.api import Response

from service.adapters.kafka.later_requests import TopicsRequest
from service.errors import TopicMissingError, TopicRecreatedError

_AFTER = "stop all processes of the run; `seedstream topics check` says whether and how it can go on"


class TopicWatch:
    """The topics that this process works with, and their ids.

    A broker that has just come back may answer from an old state: a topic must be missing in two answers in a row.
    """

    def __init__(self) -> None:
        self._ids: dict[str, str | None] = {}
        self._suspected: dict[str, str | None] = {}

    def use(self, topic: str) -> None:
        """Watch a topic from now on."""
        self._ids.setdefault(topic, None)

    def question(self) -> TopicsRequest:
        """Return the request whose response `check` takes."""
        return TopicsRequest(list(self._ids))

    def check(self, answer: Response) -> None:
        """Compare the topics with those that a broker knows.

        Raises:
            TopicMissingError, TopicRecreatedError: a topic was deleted; the broker before said so as well.
        """
        now = {each["topic"]: _id(each) for each in answer.to_object()["topics"]}
        changed = {}
        for topic, first in self._ids.items():
            found = now.get(topic)
            if found is None or first not in (None, found):
                changed[topic] = found
            else:
                self._ids[topic] = found
        for topic, found in changed.items():
            if topic in self._suspected and self._suspected[topic] == found:
                raise _error(topic, found)
        self._suspected = changed


def _id(found: dict[str, object]) -> str | None:
    known = for_code(found["error_code"]) in (NoError, LeaderNotAvailableError)
    return str(found["topic_id"]) if known else None


def _error(topic: str, found: str | None) -> TopicMissingError | TopicRecreatedError:
    if found is not None:
        return TopicRecreatedError(f"{topic} was deleted and created again while this process worked with it: {_AFTER}")
    return TopicMissingError(
        f"{topic} was deleted while this process worked with it, or it may no longer be seen: {_AFTER}"
    )
