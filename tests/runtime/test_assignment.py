"""A rebalance of one worker, step by step."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import pytest
from anyio import lowlevel

from consumers.generate import Generate
from service.adapters.sqlite import SqliteBroker
from service.errors import IllegalGenerationError
from service.lm.concurrency import Slots
from service.messaging import codec, topics
from service.messaging.broker import Committed, Isolation, Offsets, Partition, Record
from service.messaging.messages import Prompt
from service.runtime.assignment import Assignment, ends_of
from service.runtime.in_flight import InFlight
from service.runtime.session import Session
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.fakes.models import Hold, ScriptedModel, always
from tests.support import examples
from tests.support.logs import DEADLINE_S, QUIET_S, RUN, create, follow, records_of, send, until, write

pytestmark = pytest.mark.anyio

P0 = Partition(topics.PROMPTS.of(RUN), 0)
ONLY = frozenset({P0})
NOTHING: frozenset[Partition] = frozenset()


async def nothing_happens() -> None:
    pass


class Log(SqliteBroker):
    """A broker with committed offsets set by the test. `meanwhile` runs after each read of an end offset."""

    offsets: dict[Partition, Committed]
    meanwhile: Callable[[], Awaitable[None]] = staticmethod(nothing_happens)

    async def committed(self, group: str, partition: Partition) -> Committed | None:
        return self.offsets.get(partition)

    async def end_offset(self, partition: Partition, isolation: Isolation) -> int:
        end = await super().end_offset(partition, isolation)
        await self.meanwhile()
        return end


@dataclass
class Group:
    """A group member. The test assigns and revokes its partition."""

    offsets: dict[Partition, Committed] = field(default_factory=dict)
    refuses: bool = False
    read_to: int = 0

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        return []

    def position(self, partition: Partition) -> int:
        return self.read_to

    def assignment(self) -> frozenset[Partition]:
        return ONLY

    async def commit(self, offsets: Offsets) -> None:
        if self.refuses:
            raise IllegalGenerationError("the group has moved on")
        self.offsets |= offsets

    @property
    def metadata(self) -> str:
        return self.offsets[P0].metadata


@dataclass
class Desk:
    """The parts of one worker, without its poll loop."""

    broker: Log
    group: Group
    model: ScriptedModel
    calls: InFlight[Prompt]
    assignment: Assignment[Prompt]

    async def deliver(self) -> list[int]:
        """Poll all prompts, and return the offsets of those that are taken up."""
        records = await records_of(self.broker, P0.topic)
        self.group.read_to = records[-1].offset + 1
        taken = self.assignment.deliver(records)
        for record in taken:
            self.calls.begin(record)
        return [record.offset for record in taken]


@asynccontextmanager
async def desk(
    path: Path,
    model: ScriptedModel,
    *,
    patience_s: float = 60.0,
    margin_s: float = 60.0,
    slots: Slots | None = None,
) -> AsyncIterator[Desk]:
    group = Group()
    stage = Generate(model, SELF_INSTRUCT)
    async with Log.open(path / "run.sqlite3") as broker:
        assert isinstance(broker, Log)
        broker.offsets = group.offsets
        await create(broker)
        ends = await ends_of(broker, topics.CANDIDATES.of(RUN))
        with anyio.fail_after(DEADLINE_S):
            async with (
                anyio.create_task_group() as background,
                broker.producer() as producer,
                anyio.create_task_group() as calls,
            ):
                session = Session(
                    broker, producer, group, calls, background, anyio.Event(), patience_s=patience_s, margin_s=margin_s
                )
                assignment = Assignment(stage, RUN, slots or Slots(8), session, ends)
                yield Desk(broker, group, model, assignment.calls, assignment)
                calls.cancel_scope.cancel()
                background.cancel_scope.cancel()


async def test_handed_over_calls_stay_in_the_metadata_until_assignment(tmp_path: Path) -> None:
    async with desk(tmp_path, ScriptedModel(always(Hold()))) as worker:
        await send(worker.broker, *map(examples.prompt, range(3)))
        await worker.assignment.on_assigned(ONLY)
        assert await worker.deliver() == [0, 1, 2]
        await worker.model.until_asked(3)
        await worker.assignment.commit()
        assert worker.group.offsets[P0] == Committed(0, "0")
        await worker.assignment.on_revoked(ONLY)
        await worker.assignment.commit()
        assert worker.group.offsets[P0] == Committed(0, "0;0-2@60")
        await worker.assignment.on_assigned(ONLY)
        await worker.assignment.commit()
        assert worker.group.offsets[P0] == Committed(0, "0")


async def test_a_last_commit_names_no_calls_even_during_a_rebalance(tmp_path: Path) -> None:
    async with desk(tmp_path, ScriptedModel(always(Hold()))) as worker:
        await send(worker.broker, examples.prompt(0))
        await worker.assignment.on_assigned(ONLY)
        await worker.deliver()
        await worker.model.until_asked(1)
        await worker.assignment.on_revoked(ONLY)
        assert worker.group.metadata == "0;0@60"
        await worker.assignment.commit_at_last()
        assert worker.group.metadata == "0"


async def test_an_answer_written_during_reassignment_counts(tmp_path: Path) -> None:
    hold = Hold()
    async with desk(tmp_path, ScriptedModel(always(hold))) as worker:
        await send(worker.broker, examples.prompt(0), examples.prompt(1))
        await worker.assignment.on_assigned(ONLY)
        await worker.deliver()
        await worker.model.until_asked(2)
        await worker.assignment.on_revoked(ONLY)
        await worker.assignment.on_assigned(NOTHING)

        async def answer() -> None:
            hold.release()
            await until(worker.broker, lambda: worker.calls.in_flight == 0)

        worker.broker.meanwhile = answer
        worker.group.offsets[P0] = Committed(0, "0")
        await worker.assignment.on_assigned(ONLY)
        assert await worker.deliver() == []
        await worker.assignment.commit()
        assert worker.group.offsets[P0].offset == 2


async def test_calls_of_a_regained_partition_are_not_given_up(tmp_path: Path) -> None:
    hold = Hold()
    async with desk(tmp_path, ScriptedModel(always(hold)), patience_s=0.05) as worker:
        await send(worker.broker, examples.prompt(0))
        await worker.assignment.on_assigned(ONLY)
        await worker.deliver()
        await worker.model.until_asked(1)
        worker.calls.lose(ONLY, patience_s=0.05)
        (call,) = worker.calls.regain(P0)
        with anyio.move_on_after(2 * QUIET_S):
            await worker.calls.wait_for_fewer(DEADLINE_S)
        assert worker.model.in_flight == 1
        hold.release()
        await follow(worker.broker, topics.CANDIDATES, 1)
        assert call.record.offset == 0


@pytest.mark.parametrize("turns", range(8))
async def test_a_call_that_is_lost_as_it_gets_its_slot_is_not_sent(turns: int, tmp_path: Path) -> None:
    hold = Hold()
    async with desk(tmp_path, ScriptedModel(always(hold)), slots=Slots(1)) as worker:
        await send(worker.broker, examples.prompt(0), examples.prompt(1))
        await worker.assignment.on_assigned(ONLY)
        await worker.deliver()
        await worker.model.until_asked(1)
        hold.release()
        for _ in range(turns):
            await lowlevel.checkpoint()
        worker.calls.hold_back()
        worker.calls.lose(ONLY, 60.0)
        worker.calls.let_begin()
        while worker.calls.in_flight:
            await worker.calls.wait_for_fewer(DEADLINE_S)
        assert len(worker.model.asked) == len(await records_of(worker.broker, topics.CANDIDATES.of(RUN)))


async def test_who_may_not_commit_any_more_owns_nothing_but_its_calls(tmp_path: Path) -> None:
    async with desk(tmp_path, ScriptedModel(always(Hold()))) as worker:
        await send(worker.broker, examples.prompt(0), examples.prompt(1))
        await worker.assignment.on_assigned(ONLY)
        await worker.deliver()
        await worker.model.until_asked(2)
        worker.group.refuses = True
        await worker.assignment.on_revoked(ONLY)
        worker.group.refuses = False
        worker.group.offsets[P0] = Committed(1, "0;2@60")
        await send(worker.broker, examples.prompt(2), examples.prompt(3))
        await worker.assignment.on_assigned(ONLY)
        assert await worker.deliver() == [1, 3]
        await worker.model.until_asked(3)
        assert worker.model.asked == ["<p0>", "<p1>", "<p3>"]


async def test_an_owner_whose_time_is_up_may_still_be_writing(tmp_path: Path) -> None:
    async with desk(tmp_path, ScriptedModel(always("x"))) as worker:
        await send(worker.broker, examples.prompt(0), examples.prompt(1))
        worker.group.offsets[P0] = Committed(0, "0;0-1@0")
        await worker.assignment.on_assigned(ONLY)
        assert await worker.deliver() == []
        first, second = await records_of(worker.broker, P0.topic)
        for record in (first, replace(second, partition=Partition(P0.topic, 1)), second):
            await write(worker.broker, codec.encode(examples.answer(0), RUN, record))
        await until(worker.broker, lambda: worker.assignment.awaited == 0)
        assert worker.model.asked == []
        await worker.assignment.commit()
        assert worker.group.offsets[P0].offset == 2
