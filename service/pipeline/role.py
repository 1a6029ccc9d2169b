"""The roles of a run: the kinds of work that processes share out among them."""

from enum import StrEnum

from service.selfinstruct.steps import Step


class Role(StrEnum):
    """A kind of work on a run; the values are the arguments of `seedstream worker`."""

    PRODUCER = "producer"
    GENERATE = "generate"
    CLASSIFY = "classify"
    INSTANCES = "instances"
    SCREEN = "screen"
    ADMIT = "admit"
    FINISH = "finish"


STEPS = {Role(step.stage): step for step in Step}
CALLING = frozenset(STEPS)
SINGLE = (Role.PRODUCER, Role.ADMIT, Role.FINISH)
