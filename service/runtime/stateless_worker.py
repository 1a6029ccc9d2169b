"""Runs a stage without memory: many calls in flight, at least once, no recorded answer asked for again.

The life of a record: it is polled when there is room, entered in the state of its partition, decoded and handed to the
stage; the results are written and acknowledged (`service.runtime.in_flight`); then its offset is finished. Every second
the lowest unfinished offset is committed, with metadata that says where the results ended when that record was taken
(`service.runtime.answered_inputs`). At a rebalance the metadata also names the calls in flight
(`service.runtime.assignment`).
"""

from typing import Generic

import anyio
import structlog

from service.lm.concurrency import Slots
from service.messaging import codec
from service.messaging.broker import Broker, GroupMember
from service.messaging.messages import CallsDropped
from service.runtime.assignment import Assignment
from service.runtime.in_flight import InFlight
from service.runtime.stage import In, Stage

_POLL_S = 0.2
_COMMIT_EVERY_S = 1.0
_MARGIN_S = 5.0

log = structlog.get_logger()


class StatelessWorker(Generic[In]):
    """One member of a stage's consumer group.

    `slots` limits the calls in flight, together with the other stages of the process. `drain_s` bounds how long calls
    in flight may go on once the worker is to stop, or has lost their partition; `margin_s` how much longer the one that
    has the partition then waits for what they lead to, before it asks again.
    """

    def __init__(
        self, stage: Stage[In], broker: Broker, run: str, slots: Slots, drain_s: float, margin_s: float = _MARGIN_S
    ) -> None:
        self._stage = stage
        self._broker = broker
        self._source = stage.source.of(run)
        self._run = run
        self._drain_s = drain_s
        self._calls = InFlight(stage, run, slots)
        self._assignment = Assignment(stage, broker, run, self._calls, patience_s=drain_s, margin_s=margin_s)
        self._member: GroupMember

    @property
    def in_flight(self) -> int:
        """Return how many records are being worked on."""
        return self._calls.in_flight

    async def run(self, drain: anyio.Event) -> None:
        """Work until `drain` is set and what was in flight then is finished, or its time is up.

        Raises:
            EndpointRefusedError: the model refuses every call. What was in flight has been finished and recorded.
        """
        self._calls.drain = drain
        assignment = self._assignment
        await assignment.note_ends()
        async with (
            self._broker.producer() as producer,
            self._broker.group_member(
                assignment.group, [self._source], assignment.on_revoked, assignment.on_assigned
            ) as self._member,
        ):
            async with anyio.create_task_group() as background, self._calls.running(producer):
                assignment.open(self._member, background)
                background.start_soon(self._commit_regularly)
                await self._take_until_drained()
                await self._finish_in_flight()
                background.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await assignment.commit_at_last()
                if self._calls.dropped:
                    lost = CallsDropped.of(self._stage.name, self._calls.dropped)
                    await producer.send([codec.encode(lost, self._run)])
        if self._calls.refusal is not None:
            raise self._calls.refusal

    async def _take_until_drained(self) -> None:
        while not self._calls.stopping:
            if self._calls.room:
                records = await self._member.poll(self._calls.room, _POLL_S)
                if not self._calls.stopping:
                    for record in self._assignment.deliver(records):
                        self._calls.begin(record)
            else:
                await self._stay_in_the_group()

    async def _finish_in_flight(self) -> None:
        """Let calls in flight come to their end; what is not done by then will be delivered again."""
        with anyio.move_on_after(self._drain_s) as patience:
            while self._calls.in_flight:
                self._calls.drop_waiting()
                await self._stay_in_the_group()
        if patience.cancelled_caught:
            tell = log.warning if self._drain_s else log.info  # where nobody waits, nothing is amiss
            tell("drain.given_up", stage=self._stage.name, in_flight=self._calls.in_flight)
            self._calls.cancel()

    async def _stay_in_the_group(self) -> None:
        """Take part in rebalances without taking a record, and wait a little for a call to end."""
        await self._member.poll(0, 0.0)
        await self._calls.wait_for_fewer(_POLL_S)

    async def _commit_regularly(self) -> None:
        while True:
            await anyio.sleep(_COMMIT_EVERY_S)
            await self._assignment.note_ends()
            with anyio.CancelScope(shield=True):
                await self._assignment.commit()
