"""The connections, task groups and time limits that a worker has while it runs."""

from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from service.messaging.broker import Broker, GroupMember, Producer


@dataclass(frozen=True, slots=True)
class Session:
    """The means of one run of a worker: `producer` writes results, `member` commits offsets.

    Calls to the model run in `calls`, which is left when they have ended; `background` is cancelled then. No call
    begins once `drain` is set. Calls on a revoked partition may go on for `patience_s`; the next owner of the partition
    waits `margin_s` longer, so that their answers can be written.
    """

    broker: Broker
    producer: Producer
    member: GroupMember
    calls: TaskGroup
    background: TaskGroup
    drain: anyio.Event
    patience_s: float
    margin_s: float
