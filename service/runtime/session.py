"""The connections, task groups and time limits that a worker has while it runs."""

from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct

from service.messaging.broker import Broker, GroupMember, Producer


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """The times for which calls in flight may go on.

    After a stop that is `drain_s`. One attempt at a call takes `call_s` at most. On a revoked partition attempts begin
    for `drain_s`, and run to their own ends. Its next owner waits `margin_s` longer, so that their answers can be
    written. After the calls of a stopped worker have ended, its last commit and records take `last_s` at most.
    """

    drain_s: float
    call_s: float = 120.0
    margin_s: float = 5.0
    last_s: float = 5.0

    @property
    def revoked_s(self) -> float:
        """Return after how long no call runs on a revoked partition."""
        return self.drain_s + self.call_s


class Session(Struct, frozen=True):
    """The means of one run of a worker: `producer` writes results, `member` commits offsets.

    Calls to the model run in `calls`, which is left when they have ended; `background` is cancelled then. No call
    begins once `drain` is set.
    """

    broker: Broker
    producer: Producer
    member: GroupMember
    calls: TaskGroup
    background: TaskGroup
    drain: anyio.Event
    limits: TimeLimits
