"""The roles of a run: the kinds of work that processes share out among them."""

from enum import StrEnum


class Role(StrEnum):
    """A kind of work on a run; the values are the arguments of `seedstream worker`."""

    PRODUCER = "producer"
    GENERATE = "generate"
    CLASSIFY = "classify"
    INSTANCES = "instances"
    SCREEN = "screen"
    ADMIT = "admit"
    FINISH = "finish"


CALLING = frozenset({Role.GENERATE, Role.CLASSIFY, Role.INSTANCES})
SINGLE = (Role.PRODUCER, Role.ADMIT, Role.FINISH)
