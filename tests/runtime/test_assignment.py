"""A rebalance of one worker, step by step."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from anyio import lowlevel
from msgspec import structs
from structlog.testing import capture_logs

from consumers.generate import Generate
from service.adapters.sqlite import SqliteBroker
from service.errors import IllegalGenerationError, TopicRecreatedError
from service.lm.call_cost import ONE_ATTEMPT
from service.lm.concurrency import Slot, Slots
from service.lm.errors import CallDroppedError
from service.lm.port import Completion
from service.messaging import codec, topics
from service.messaging.broker import Broker, Committed, Isolation, Offsets, Partition, Record, TransactionalProducer
from service.messaging.messages import Prompt
from service.runtime.assignment import Assignment, ends_of
from service.runtime.in_flight import InFlight
from service.runtime.session import Session, TimeLimits
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import SELF_INSTRUCT, Sampling
from tests.fakes.models import Hold, ScriptedModel, always
from tests.support import examples
from tests.support.logs import DEADLINE_S, QUIET_S, RUN, create, follow, records_of, send, until, write

pytestmark = pytest.mark.anyio

P0 = Partition(topics.PROMPTS.of(RUN), 0)
ONLY = frozenset({P0})
PATIENT = TimeLimits(60.0, call_s=0.0, margin_s=60.0)
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
    paused: frozenset[Partition] = frozenset()
    sure: bool = True

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        return []

    def position(self, partition: Partition) -> int:
        return self.read_to

    def assignment(self) -> frozenset[Partition]:
        return ONLY

    def pause(self, partitions: frozenset[Partition]) -> None:
        self.paused = partitions

    def is_sure(self) -> bool:
        return self.sure

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
    drain: anyio.Event

    async def assign(self, partitions: frozenset[Partition]) -> None:
        """Assign partitions, and wait until it is known what is answered of them."""
        await self.assignment.on_assigned(partitions)
        await until(self.broker, lambda: not self.group.paused)

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
    limits: TimeLimits = PATIENT,
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
                session = Session(broker, producer, group, calls, background, anyio.Event(), limits)
                assignment = Assignment(stage, RUN, slots or Slots(8), session, ends)
                yield Desk(broker, group, model, assignment.calls, assignment, session.drain)
                calls.cancel_scope.cancel()
                background.cancel_scope.cancel()


async def test_handed_over_calls_stay_in_the_metadata_until_assignment(tmp_path: Path) -> None:
    async with desk(tmp_path, ScriptedModel(always(Hold()))) as worker:
        await send(worker.broker, *map(examples.prompt, range(3)))
        await worker.assign(ONLY)
        assert await worker.deliver() == [0, 1, 2]
        await worker.model.until_asked(3)
        await worker.assignment.commit()
        assert worker.group.offsets[P0] == Committed(0, "0")
        await worker.assignment.on_revoked(ONLY)
        await worker.assignment.commit()
        assert worker.group.offsets[P0] == Committed(0, "0;0-2@60")
        await worker.assign(ONLY)
        await worker.assignment.commit()
        assert worker.group.offsets[P0] == Committed(0, "0")


async def test_a_last_commit_names_no_calls_even_during_a_rebalance(tmp_path: Path) -> None:
    async with desk(tmp_path, ScriptedModel(always(Hold()))) as worker:
        await send(worker.broker, examples.prompt(0))
        await worker.assign(ONLY)
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
        await worker.assign(ONLY)
        await worker.deliver()
        await worker.model.until_asked(2)
        await worker.assignment.on_revoked(ONLY)
        await worker.assign(NOTHING)

        async def answer() -> None:
            hold.release()
            await until(worker.broker, lambda: worker.calls.in_flight == 0)

        worker.broker.meanwhile = answer
        worker.group.offsets[P0] = Committed(0, "0")
        await worker.assign(ONLY)
        assert await worker.deliver() == []
        await worker.assignment.commit()
        assert worker.group.offsets[P0].offset == 2


async def test_calls_of_a_regained_partition_are_not_given_up(tmp_path: Path) -> None:
    hold = Hold()
    async with desk(tmp_path, ScriptedModel(always(hold)), limits=TimeLimits(0.05, call_s=0.0)) as worker:
        await send(worker.broker, examples.prompt(0))
        await worker.assign(ONLY)
        await worker.deliver()
        await worker.model.until_asked(1)
        (call,) = worker.calls.begun_on(P0)
        worker.calls.lose(ONLY, anyio.current_time())
        assert worker.calls.regain([call]) == {0: False}
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
        await worker.assign(ONLY)
        await worker.deliver()
        await worker.model.until_asked(1)
        hold.release()
        for _ in range(turns):
            await lowlevel.checkpoint()
        worker.calls.hold_back()
        worker.calls.lose(ONLY, anyio.current_time())
        worker.calls.let_begin()
        while worker.calls.in_flight:
            await worker.calls.wait_for_fewer(DEADLINE_S)
        assert len(worker.model.asked) == len(await records_of(worker.broker, topics.CANDIDATES.of(RUN)))


async def test_who_may_not_commit_any_more_owns_nothing_but_its_calls(tmp_path: Path) -> None:
    async with desk(tmp_path, ScriptedModel(always(Hold()))) as worker:
        await send(worker.broker, examples.prompt(0), examples.prompt(1))
        await worker.assign(ONLY)
        await worker.deliver()
        await worker.model.until_asked(2)
        worker.group.refuses = True
        await worker.assignment.on_revoked(ONLY)
        worker.group.refuses = False
        worker.group.offsets[P0] = Committed(1, "0;2@60")
        await send(worker.broker, examples.prompt(2), examples.prompt(3))
        await worker.assign(ONLY)
        assert await worker.deliver() == [1, 3]
        await worker.model.until_asked(3)
        assert worker.model.asked == ["<p0>", "<p1>", "<p3>"]


async def test_an_owner_whose_time_is_up_may_still_be_writing(tmp_path: Path) -> None:
    async with desk(tmp_path, ScriptedModel(always("x"))) as worker:
        await send(worker.broker, examples.prompt(0), examples.prompt(1))
        worker.group.offsets[P0] = Committed(0, "0;0-1@0")
        await worker.assign(ONLY)
        assert await worker.deliver() == []
        first, second = await records_of(worker.broker, P0.topic)
        for seq, record in enumerate((first, structs.replace(second, partition=Partition(P0.topic, 1)), second)):
            await write(worker.broker, codec.encode(examples.answer(min(seq, 1)), RUN, record))
        await until(worker.broker, lambda: worker.assignment.awaited == 0)
        assert worker.model.asked == []
        await worker.assignment.commit()
        assert worker.group.offsets[P0].offset == 2


@asynccontextmanager
async def hidden_results(broker: Broker) -> AsyncIterator[TransactionalProducer]:
    """Keep a transaction open on the results, so that a recall cannot reach their end."""
    async with broker.transactional_producer("t") as producer:
        await producer.begin()
        await producer.send([codec.encode(examples.seed(1), RUN)])
        yield producer


async def test_a_recall_takes_place_beside_polls(tmp_path: Path) -> None:
    async with desk(tmp_path, ScriptedModel(always("x"))) as worker:
        await send(worker.broker, examples.prompt(0), examples.prompt(1))
        first, _ = await records_of(worker.broker, P0.topic)
        async with hidden_results(worker.broker) as transaction:
            await write(worker.broker, codec.encode(examples.answer(0), RUN, first))
            await worker.assignment.on_assigned(ONLY)
            assert worker.group.paused == ONLY
            await worker.assignment.commit()
            assert worker.group.offsets == {}
            await transaction.abort()
            await until(worker.broker, lambda: not worker.group.paused)
        assert await worker.deliver() == [1]


async def test_a_partition_is_revoked_in_the_middle_of_its_recall(tmp_path: Path) -> None:
    async with desk(tmp_path, ScriptedModel(always("x"))) as worker:
        await send(worker.broker, examples.prompt(0))
        async with hidden_results(worker.broker) as transaction:
            await worker.assignment.on_assigned(ONLY)
            await anyio.wait_all_tasks_blocked()
            await worker.assignment.on_revoked(ONLY)
            await worker.assignment.on_assigned(NOTHING)
            assert worker.group.paused == NOTHING
            await transaction.abort()
        await anyio.wait_all_tasks_blocked()
        assert await worker.deliver() == []
        assert worker.group.offsets == {}


@pytest.mark.parametrize("left", [None, Committed(1, "1")])
async def test_answers_of_others_during_a_recall_count(left: Committed | None, tmp_path: Path) -> None:
    """The partition is away in the middle of a recall; its owner commits, or is killed before it can."""
    async with desk(tmp_path, ScriptedModel(always("x"))) as worker:
        await send(worker.broker, *map(examples.prompt, range(3)))
        first, second, _ = await records_of(worker.broker, P0.topic)
        async with hidden_results(worker.broker) as transaction:
            await worker.assignment.on_assigned(ONLY)
            await anyio.wait_all_tasks_blocked()
            await worker.assignment.on_revoked(ONLY)
            await transaction.commit()
            await anyio.wait_all_tasks_blocked()
            assert worker.group.paused == ONLY
            for seq, record in enumerate((first, second)):
                await write(worker.broker, codec.encode(examples.answer(seq), RUN, record))
            if left is not None:
                worker.group.offsets[P0] = left
        await worker.assign(ONLY)
        assert await worker.deliver() == [2]
        await worker.model.until_asked(1)
        assert worker.model.asked == ["<p2>"]


async def test_no_call_begins_while_the_group_may_have_moved_on(tmp_path: Path) -> None:
    async with desk(tmp_path, ScriptedModel(always("x"))) as worker:
        await send(worker.broker, examples.prompt(0))
        await worker.assign(ONLY)
        worker.group.sure = False
        await worker.deliver()
        with anyio.move_on_after(QUIET_S):
            await worker.model.until_asked(1)
        assert worker.model.asked == []
        worker.group.sure = True
        await worker.model.until_asked(1)


async def test_a_call_that_does_not_end_holds_its_partition_up(tmp_path: Path) -> None:
    hold = Hold()
    async with desk(tmp_path, ScriptedModel(always(hold))) as worker:
        await send(worker.broker, examples.prompt(0))
        await worker.assign(ONLY)
        await worker.deliver()
        (first,) = await records_of(worker.broker, P0.topic)
        worker.group.read_to = 9_999
        worker.assignment.deliver([structs.replace(first, offset=offset) for offset in range(1, 9_999)])
        assert worker.group.paused == NOTHING
        worker.group.read_to = 10_000
        with capture_logs() as logs:
            worker.assignment.deliver([structs.replace(first, offset=9_999)])
            assert worker.group.paused == ONLY
            worker.assignment.deliver([])
        assert [each["by"] for each in logs if each["event"] == "partition.held_up"] == [f"{P0}/0"]
        hold.release()
        await until(worker.broker, lambda: worker.calls.in_flight == 0)
        worker.assignment.deliver([])
        assert worker.group.paused == NOTHING


class SteppingAside(ScriptedModel):
    """A model whose first call waits for a long time to try again."""

    def __init__(self, slots: Slots) -> None:
        super().__init__(always("x"))
        self._slots = slots

    async def complete(self, prompt: ModelInput, sampling: Sampling, slot: Slot | None = None) -> Completion:
        if not self.asked:
            self.asked.append(prompt.as_text)
            assert slot is not None
            if not await self._slots.step_aside(slot, 3600.0):
                raise CallDroppedError(None, cost=ONE_ATTEMPT)
        return await super().complete(prompt, sampling, slot)


class Retrying(ScriptedModel):
    """A model that is asked again at once after each answer, as after one without content, while its slot allows."""

    def __init__(self, slots: Slots, hold: Hold) -> None:
        super().__init__(always(hold))
        self._slots = slots

    async def complete(self, prompt: ModelInput, sampling: Sampling, slot: Slot | None = None) -> Completion:
        assert slot is not None
        while len(self.asked) < 9:
            await super().complete(prompt, sampling, slot)
            if not await self._slots.step_aside(slot, 0.0):
                break
        raise CallDroppedError(None, cost=ONE_ATTEMPT)


@pytest.mark.parametrize("partition", ["stays", "is revoked", "comes back"])
async def test_an_attempt_that_fails_during_a_drain_is_the_last(tmp_path: Path, partition: str) -> None:
    slots, hold = Slots(8), Hold()
    model = Retrying(slots, hold)
    async with desk(tmp_path, model, slots=slots) as worker:
        await send(worker.broker, examples.prompt(0))
        await worker.assign(ONLY)
        await worker.deliver()
        await model.until_asked(1)
        worker.drain.set()
        worker.calls.make_no_more_attempts()
        calls = worker.calls.begun_on(P0)
        if partition != "stays":
            worker.calls.lose(ONLY, anyio.current_time() + DEADLINE_S)
        if partition == "comes back":
            worker.calls.regain(calls)
        hold.release()
        await until(worker.broker, lambda: worker.calls.in_flight == 0)
    assert model.asked == ["<p0>"]


async def test_a_call_dropped_with_its_partition_is_made_on_return(tmp_path: Path) -> None:
    slots = Slots(8)
    no_retries = TimeLimits(0.0, call_s=60.0)
    async with desk(tmp_path, SteppingAside(slots), slots=slots, limits=no_retries) as worker:
        await send(worker.broker, examples.prompt(0))
        await worker.assign(ONLY)
        await worker.deliver()
        await until(worker.broker, lambda: slots.in_use == 0 and len(worker.model.asked) == 1)
        calls = worker.calls.begun_on(P0)
        worker.calls.lose(ONLY, anyio.current_time())
        assert worker.calls.regain(calls) == {0: False}
        await follow(worker.broker, topics.CANDIDATES, 1)
        assert worker.model.asked == ["<p0>", "<p0>"]


async def test_calls_of_a_revoked_partition_have_an_attempts_time(tmp_path: Path) -> None:
    hold = Hold()
    async with desk(tmp_path, ScriptedModel(always(hold)), limits=TimeLimits(0.05, call_s=60.0)) as worker:
        await send(worker.broker, examples.prompt(0))
        await worker.assign(ONLY)
        await worker.deliver()
        await worker.model.until_asked(1)
        await worker.assignment.on_revoked(ONLY)
        assert worker.group.metadata == "0;0@61"
        await worker.assignment.on_assigned(NOTHING)
        with anyio.move_on_after(2 * QUIET_S):
            await worker.calls.wait_for_fewer(DEADLINE_S)
        hold.release()
        await follow(worker.broker, topics.CANDIDATES, 1)


async def test_the_time_of_a_revoked_call_begins_at_its_revocation(tmp_path: Path) -> None:
    """The next owner may be assigned the partition before this worker learns that it has lost it."""
    async with desk(tmp_path, ScriptedModel(always(Hold())), limits=TimeLimits(30.0, call_s=60.0)) as worker:
        await send(worker.broker, examples.prompt(0))
        await worker.assign(ONLY)
        await worker.deliver()
        await worker.model.until_asked(1)
        (call,) = worker.calls.begun_on(P0)
        await worker.assignment.on_revoked(ONLY)
        revoked_s = anyio.current_time()
        assert worker.group.metadata == "0;0@90"
        await anyio.wait_all_tasks_blocked()
        await worker.assignment.on_assigned(NOTHING)
        assert call.slot is not None
        assert call.slot.closes_s <= revoked_s + 30.0
        assert call.scope.deadline <= revoked_s + 90.0


async def test_answers_to_an_earlier_topic_of_a_name_do_not_count(tmp_path: Path) -> None:
    """Its offsets were the same, and the keys of its records were others."""
    async with desk(tmp_path, ScriptedModel(always("x"))) as worker:
        await send(worker.broker, *map(examples.prompt, (7, 8)))
        first, second = await records_of(worker.broker, P0.topic)
        await write(worker.broker, codec.encode(examples.answer(0), RUN, first))
        await write(worker.broker, codec.encode(examples.answer(8), RUN, second))
        await worker.assign(ONLY)
        assert await worker.deliver() == [0]
        await worker.model.until_asked(1)
        assert worker.model.asked == ["<p7>"]


async def test_an_answer_given_during_a_long_recall_is_not_late(tmp_path: Path) -> None:
    """The time for the call is up when the recall ends, and its answer is far behind the end of that."""
    async with desk(tmp_path, ScriptedModel(always("x")), limits=TimeLimits(0.0, call_s=0.0, margin_s=0.0)) as worker:
        await send(worker.broker, examples.prompt(0))
        (record,) = await records_of(worker.broker, P0.topic)
        worker.group.offsets[P0] = Committed(0, "0;0@0")
        ends_read = 0

        async def answer() -> None:
            nonlocal ends_read
            ends_read += 1
            if (
                ends_read == 2
            ):  # the end of the source was the first, that of the results, up to which it reads, is this
                results = [codec.encode(examples.answer(seq), RUN) for seq in range(100, 2_100)]
                await write(worker.broker, *results, codec.encode(examples.answer(0), RUN, record))

        worker.broker.meanwhile = answer
        await worker.assign(ONLY)
        assert await worker.deliver() == []
        await until(worker.broker, lambda: worker.assignment.awaited + worker.calls.in_flight == 0)
        assert (ends_read >= 2, worker.model.asked) == (True, [])


async def test_an_old_topics_answer_does_not_hide_that_of_the_new(tmp_path: Path) -> None:
    """The results have several partitions, so that the answer to the earlier topic may be read last."""
    async with desk(tmp_path, ScriptedModel(always("x"))) as worker:
        await send(worker.broker, examples.prompt(0))
        (record,) = await records_of(worker.broker, P0.topic)
        for seq in (7, 0, 8):
            await write(worker.broker, codec.encode(examples.answer(seq), RUN, record))
        await worker.assign(ONLY)
        assert await worker.deliver() == []


@pytest.mark.parametrize("recalled", [True, False])
async def test_an_old_topics_answer_does_not_end_a_wait(*, recalled: bool, tmp_path: Path) -> None:
    """It is found by the recall, or while the record is awaited, which another worker has in flight."""
    async with desk(tmp_path, ScriptedModel(always("x"))) as worker:
        await send(worker.broker, examples.prompt(0), examples.prompt(1))
        first, second = await records_of(worker.broker, P0.topic)
        old, new = (codec.encode(examples.answer(seq), RUN, first) for seq in (7, 0))
        if recalled:
            await write(worker.broker, old)
        worker.group.offsets[P0] = Committed(0, "0;0-1@60")
        await worker.assign(ONLY)
        assert await worker.deliver() == []
        if not recalled:
            await write(worker.broker, old)
        await write(worker.broker, codec.encode(examples.answer(1), RUN, second))
        await until(worker.broker, lambda: worker.assignment.awaited == 1)
        await worker.assignment.commit()
        assert worker.group.offsets[P0].offset == 0
        await write(worker.broker, new)
        await until(worker.broker, lambda: worker.assignment.awaited == 0)
        assert worker.model.asked == []


async def test_a_topic_that_ends_before_the_offset_is_refused(tmp_path: Path) -> None:
    with pytest.RaisesGroup(TopicRecreatedError, allow_unwrapped=True, flatten_subgroups=True):
        async with desk(tmp_path, ScriptedModel(always("x"))) as worker:
            await send(worker.broker, examples.prompt(0))
            worker.group.offsets[P0] = Committed(2, "0")
            await worker.assign(ONLY)


@pytest.mark.parametrize("answers", [0, 1])
async def test_expired_offsets_are_told(answers: int, tmp_path: Path) -> None:
    """Nothing is committed: either the run is new, or Kafka has deleted the offsets of a group at rest."""
    async with desk(tmp_path, ScriptedModel(always("x"))) as worker:
        await send(worker.broker, examples.prompt(0))
        for record in (await records_of(worker.broker, P0.topic))[:answers]:
            await write(worker.broker, codec.encode(examples.answer(0), RUN, record))
        await worker.assignment.note_ends()
        with capture_logs() as logs:
            await worker.assign(ONLY)
        told = [each["group"] for each in logs if each["event"] == "offset.missing"]
        assert told == [f"seedstream.{RUN}.generate"] * answers
        assert await worker.deliver() == [0] * (1 - answers)
