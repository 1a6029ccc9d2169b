"""A partition moves between live workers while calls are in flight. Nothing is paid for twice."""

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from consumers.classify import Classify
from consumers.generate import Generate
from service.adapters.sqlite import SqliteBroker
from service.lm.concurrency import Slots
from service.messaging import codec, topics
from service.messaging.broker import Broker, Committed, Partition
from service.messaging.messages import Prompt
from service.runtime.session import TimeLimits
from service.runtime.stateless_worker import StatelessWorker
from service.selfinstruct.recipe import SELF_INSTRUCT, Sampling
from tests.conftest import OpenBroker
from tests.fakes.brokers import Breakage, BreakingBroker
from tests.fakes.models import Hold, ScriptedModel, always, by_marker
from tests.support import examples
from tests.support.logs import (
    DEADLINE_S,
    RUN,
    committed,
    create,
    drained_after,
    end,
    follow,
    killed_after,
    read,
    records_of,
    send,
    until,
    write,
)

pytestmark = pytest.mark.anyio

SAMPLING = Sampling(0.0, 0.0, 3, ())
PROMPTS = topics.PROMPTS.of(RUN)
PATIENT = TimeLimits(60.0, call_s=0.0, margin_s=60.0)
GROUP = f"seedstream.{RUN}.generate"

Logs = Sequence[MutableMapping[str, Any]]


def generating(
    broker: Broker, model: ScriptedModel, slots: Slots | None = None, limits: TimeLimits = PATIENT
) -> StatelessWorker[Prompt]:
    return StatelessWorker(Generate(model, SELF_INSTRUCT), broker, RUN, slots or Slots(8), limits)


def count(logs: Logs, event: str) -> int:
    return sum(int(each.get("records", 1)) for each in logs if each["event"] == event)


async def until_awaited(broker: Broker, logs: Logs, records: int) -> None:
    """Wait until next owners have logged that they await this number of answers."""
    await until(broker, lambda: count(logs, "record.awaited") >= records)


async def all_metadata(broker: Broker, partitions: int) -> list[str]:
    found = [await broker.committed(GROUP, Partition(PROMPTS, number)) for number in range(partitions)]
    return [each.metadata for each in found if each is not None]


async def until_metadata(broker: Broker, partitions: int, holds: Callable[[list[str]], bool]) -> None:
    async with broker.reader([]) as nothing:
        with anyio.fail_after(DEADLINE_S):
            while not holds(await all_metadata(broker, partitions)):
                await nothing.poll(1, 0.02)


async def until_shared(broker: Broker, sizes: list[int]) -> None:
    """Wait until the members of the group own these numbers of partitions, in ascending order."""
    async with broker.reader([]) as nothing:
        with anyio.fail_after(DEADLINE_S):
            while sorted(len(member.owned) for member in await broker.members(GROUP)) != sizes:
                await nothing.poll(1, 0.02)


async def every_answer_is_there_once(broker: Broker, prompts: int) -> bool:
    keys = [answer.key for answer in await read(broker, topics.CANDIDATES)]
    return sorted(keys) == sorted(f"p{seq}" for seq in range(prompts))


async def ignore(_: frozenset[Partition]) -> None:
    pass


async def send_two_to_each(broker: Broker, partitions: int) -> None:
    for seq in range(2 * partitions):
        await send(broker, examples.prompt(seq), partition=seq % partitions)


async def test_a_new_worker_awaits_calls_in_flight_and_asks_the_rest(open_broker: OpenBroker) -> None:
    hold = Hold()
    first, second = ScriptedModel(always(hold)), ScriptedModel(always("x"))
    async with open_broker() as broker:
        await create(broker, partitions=4)
        await send_two_to_each(broker, 4)
        with capture_logs() as logs:
            async with drained_after(generating(broker, first)):
                await first.until_asked(8)
                async with drained_after(generating(broker, second)):
                    await until_awaited(broker, logs, 4)
                    for seq in range(8, 12):
                        await send(broker, examples.prompt(seq), partition=seq % 4)
                    await second.until_asked(2)
                    hold.release()
                    await follow(broker, topics.CANDIDATES, 12)
                    await until(broker, lambda: count(logs, "record.answered_elsewhere") == 4)
        assert sorted(first.asked + second.asked) == sorted(f"<p{seq}>" for seq in range(12))
        assert set(second.asked) < {f"<p{seq}>" for seq in range(8, 12)}
        assert await every_answer_is_there_once(broker, 12)
        for number in range(4):
            assert await committed(broker, "generate", topics.PROMPTS, number) == await end(
                broker, topics.PROMPTS, number
            )


async def test_a_dead_owners_calls_are_asked_when_their_time_is_up(open_broker: OpenBroker) -> None:
    first, next_owner, stop = ScriptedModel(always(Hold())), ScriptedModel(always("x")), anyio.Event()
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send_two_to_each(broker, 2)
        with capture_logs() as logs, anyio.fail_after(DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                async with killed_after(generating(broker, first, limits=TimeLimits(1.0, call_s=0.0))):
                    await first.until_asked(4)
                    tasks.start_soon(generating(broker, next_owner, limits=replace(PATIENT, margin_s=0.05)).run, stop)
                    await until_awaited(broker, logs, 2)
                assert next_owner.asked == []
                await follow(broker, topics.CANDIDATES, 4)
                stop.set()
        assert count(logs, "record.await_expired") >= 2
        assert sorted(next_owner.asked) == ["<p0>", "<p1>", "<p2>", "<p3>"]
        assert await every_answer_is_there_once(broker, 4)


async def test_an_expired_call_is_given_up_and_asked_by_the_next_owner(
    open_broker: OpenBroker,
) -> None:
    first, second = ScriptedModel(always(Hold())), ScriptedModel(always("x"))
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send_two_to_each(broker, 2)
        async with killed_after(generating(broker, first, limits=TimeLimits(0.1, call_s=0.0))):
            await first.until_asked(4)
            async with killed_after(generating(broker, second, limits=replace(PATIENT, margin_s=0.05))):
                await second.until_asked(2)
                assert first.in_flight == 2
                await follow(broker, topics.CANDIDATES, 2)
        assert len(second.asked) == 2


@pytest.mark.parametrize("is_killed", [False, True])
async def test_a_partition_that_comes_back_finds_its_calls_in_flight(open_broker: OpenBroker, is_killed: bool) -> None:  # noqa: FBT001
    hold = Hold()
    first, second = ScriptedModel(always(hold)), ScriptedModel(always("x"))
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send_two_to_each(broker, 2)
        with capture_logs() as logs:
            async with drained_after(generating(broker, first)):
                await first.until_asked(4)
                async with (killed_after if is_killed else drained_after)(generating(broker, second)):
                    await until_awaited(broker, logs, 2)
                await send(broker, examples.prompt(4), partition=0)
                await send(broker, examples.prompt(5), partition=1)
                await first.until_asked(6)
                hold.release()
                await follow(broker, topics.CANDIDATES, 6)
        assert (len(first.asked), second.asked) == (6, [])
        assert await every_answer_is_there_once(broker, 6)
        for number in range(2):
            assert await committed(broker, "generate", topics.PROMPTS, number) == await end(
                broker, topics.PROMPTS, number
            )


@pytest.mark.parametrize("is_killed", [False, True])
async def test_an_awaited_call_is_awaited_by_the_next_owner_too(open_broker: OpenBroker, is_killed: bool) -> None:  # noqa: FBT001
    hold, stop = Hold(), anyio.Event()
    first, next_owner, third_owner = ScriptedModel(always(hold)), ScriptedModel(always("x")), ScriptedModel(always("x"))
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send_two_to_each(broker, 2)
        with capture_logs() as logs:
            async with drained_after(generating(broker, first)), anyio.create_task_group() as tasks:
                await first.until_asked(4)
                async with (killed_after if is_killed else drained_after)(generating(broker, next_owner)):
                    await until_awaited(broker, logs, 2)
                    tasks.start_soon(generating(broker, third_owner).run, stop)
                    await until_shared(broker, [0, 1, 1])
                    handed_over = await all_metadata(broker, 2)
                    await until_metadata(broker, 2, lambda now: not set(now) & set(handed_over))
                await until_awaited(broker, logs, 4)
                hold.release()
                await follow(broker, topics.CANDIDATES, 4)
                stop.set()
        assert (len(first.asked), next_owner.asked, third_owner.asked) == (4, [], [])
        assert await every_answer_is_there_once(broker, 4)


async def test_a_worker_that_joins_during_a_drain_asks_nothing_twice(open_broker: OpenBroker) -> None:
    hold, stop = Hold(), anyio.Event()
    leaver, stayer, newcomer = (ScriptedModel(always(hold)) for _ in range(3))
    async with open_broker() as broker:
        await create(broker, partitions=4)
        with capture_logs() as logs, anyio.fail_after(DEADLINE_S):
            async with drained_after(generating(broker, stayer)), anyio.create_task_group() as tasks:
                tasks.start_soon(generating(broker, leaver).run, stop)
                await until_shared(broker, [2, 2])
                await send_two_to_each(broker, 4)
                await until(broker, lambda: leaver.in_flight + stayer.in_flight == 8)
                stop.set()
                async with drained_after(generating(broker, newcomer)):
                    await until_awaited(broker, logs, 2)
                    assert leaver.in_flight == stayer.in_flight == 4
                    hold.release()
                    await until_shared(broker, [2, 2])
                    await follow(broker, topics.CANDIDATES, 8)
        assert sorted(leaver.asked + stayer.asked + newcomer.asked) == sorted(f"<p{seq}>" for seq in range(8))
        assert await every_answer_is_there_once(broker, 8)


async def test_a_drain_gives_up_partitions_at_once_and_asks_no_more(open_broker: OpenBroker) -> None:
    hold = Hold()
    leaver, stayer = ScriptedModel(always(hold)), ScriptedModel(always("x"))
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send_two_to_each(broker, 2)
        with capture_logs() as logs:
            async with drained_after(generating(broker, leaver)) as stop:
                await leaver.until_asked(4)
                stop.set()
                async with drained_after(generating(broker, stayer)):
                    await until_awaited(broker, logs, 2)
                    await send(broker, examples.prompt(4), partition=0)
                    await send(broker, examples.prompt(5), partition=1)
                    await stayer.until_asked(1)
                    assert leaver.in_flight == 4
                    hold.release()
                    await follow(broker, topics.CANDIDATES, 6)
        assert sorted(leaver.asked) == ["<p0>", "<p1>", "<p2>", "<p3>"]
        assert sorted(stayer.asked) == ["<p4>", "<p5>"]
        assert await every_answer_is_there_once(broker, 6)


async def test_a_drain_that_gives_up_leaves_nobody_waiting(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send_two_to_each(broker, 2)
        stuck, next_owner = ScriptedModel(by_marker({"<p0>": Hold(), "<p1>": Hold()})), ScriptedModel(always("x"))
        with capture_logs() as logs:
            async with drained_after(generating(broker, stuck, limits=TimeLimits(0.05))):
                await follow(broker, topics.CANDIDATES, 2)
            assert count(logs, "drain.given_up") == 1
            assert all(";" not in metadata for metadata in await all_metadata(broker, 2))
            async with killed_after(generating(broker, next_owner)):
                await follow(broker, topics.CANDIDATES, 4)
        assert sorted(next_owner.asked) == ["<p0>", "<p1>"]


async def test_calls_of_kept_partitions_soon_leave_the_commit_metadata(open_broker: OpenBroker) -> None:
    first, second = ScriptedModel(always(Hold())), ScriptedModel(always(Hold()))
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send_two_to_each(broker, 2)
        async with killed_after(generating(broker, first)):
            await first.until_asked(4)
            async with killed_after(generating(broker, second)):
                await until_metadata(broker, 2, lambda found: sum(";" in metadata for metadata in found) == 2)
                await until_metadata(broker, 2, lambda found: sum(";" in metadata for metadata in found) == 1)
        assert [await committed(broker, "generate", topics.PROMPTS, number) for number in range(2)] == [0, 0]


async def test_a_record_without_a_slot_is_asked_by_the_next_owner_only(
    open_broker: OpenBroker,
) -> None:
    hold = Hold("Yes")
    busy, newcomer = ScriptedModel(always(hold)), ScriptedModel(always("x"))
    slots = Slots(1)
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send(broker, examples.instruction("p9.0"))
        classify = StatelessWorker(
            Classify(busy, SELF_INSTRUCT, examples.TEMPLATES, SAMPLING), broker, RUN, slots, PATIENT
        )
        generate = generating(broker, busy, slots)
        async with drained_after(classify):
            await busy.until_asked(1)
            async with drained_after(generate):
                await send(broker, examples.prompt(0), partition=1)
                await until(broker, lambda: generate.in_flight == 1)
                async with drained_after(generating(broker, newcomer)):
                    await follow(broker, topics.CANDIDATES, 1)
                    await until(broker, lambda: generate.in_flight == 0)
                    hold.release()
        assert newcomer.asked == ["<p0>"]
        assert len(busy.asked) == 1


async def test_no_call_begins_while_it_is_open_who_owns_its_partition(tmp_path: Path) -> None:
    hold = Hold("Yes")
    model = ScriptedModel(always(hold))
    slots = Slots(1)
    async with SqliteBroker.open(tmp_path / "run.sqlite3", rebalance_timeout_s=60.0) as broker:
        await create(broker, partitions=2)
        await send(broker, examples.instruction("p9.0"))
        classify = StatelessWorker(
            Classify(model, SELF_INSTRUCT, examples.TEMPLATES, SAMPLING), broker, RUN, slots, PATIENT
        )
        generate = generating(broker, model, slots)
        async with drained_after(classify):
            await model.until_asked(1)
            async with drained_after(generate):
                await send(broker, examples.prompt(0))
                await until(broker, lambda: generate.in_flight == 1)
                async with broker.group_member(GROUP, [PROMPTS], ignore, ignore):
                    await until_shared(broker, [0, 0])
                    hold.release()
                    await follow(broker, topics.CLASSIFIED, 1)
                    await anyio.wait_all_tasks_blocked()
                    assert (generate.in_flight, slots.in_use, len(model.asked)) == (1, 0, 1)
                await follow(broker, topics.CANDIDATES, 1)
        assert len(model.asked) == 2


async def test_a_worker_taken_for_dead_repeats_no_call_in_flight(
    open_broker: OpenBroker,
) -> None:
    hold = Hold()
    model = ScriptedModel(always(hold))
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.prompt(0), examples.prompt(1))
        with capture_logs() as logs:
            async with drained_after(generating(BreakingBroker(broker, Breakage.GROUP), model)):
                await model.until_asked(2)
                async with broker.group_member(GROUP, [PROMPTS], ignore, ignore) as usurper:
                    await usurper.poll(0, 0.0)
                    await until(broker, lambda: count(logs, "commit.too_late") == 1)
                await send(broker, examples.prompt(2))
                await model.until_asked(3)
                hold.release()
                await follow(broker, topics.CANDIDATES, 3)
        assert sorted(model.asked) == ["<p0>", "<p1>", "<p2>"]
        assert await every_answer_is_there_once(broker, 3)
        assert await committed(broker, "generate", topics.PROMPTS) == await end(broker, topics.PROMPTS)


@pytest.mark.parametrize("metadata", ["", "kept by somebody else", "1,2,3", "0;5", "0;0-99999999999@60", "7" * 30])
async def test_unreadable_commit_metadata_repeats_no_answered_call(open_broker: OpenBroker, metadata: str) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.prompt, range(3)))
        first, *_ = await records_of(broker, PROMPTS)
        await write(broker, codec.encode(examples.answer(0), RUN, first))
        async with broker.group_member(GROUP, [PROMPTS], ignore, ignore) as outsider:
            await outsider.poll(0, 0.0)
            await outsider.commit({Partition(PROMPTS, 0): Committed(0, metadata)})
        model = ScriptedModel(always("x"))
        async with drained_after(generating(broker, model)):
            await follow(broker, topics.CANDIDATES, 3)
        assert sorted(model.asked) == ["<p1>", "<p2>"]


async def test_a_long_recall_keeps_nobody_from_joining_or_leaving(open_broker: OpenBroker) -> None:
    first, second, third = (ScriptedModel(always("x")) for _ in range(3))
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send_two_to_each(broker, 2)
        answered = await records_of(broker, PROMPTS)
        async with broker.transactional_producer("t") as hiding:
            await hiding.begin()
            await hiding.send([codec.encode(examples.seed(1), RUN)])
            for record in answered[:3]:
                await write(broker, codec.encode(examples.answer(int((record.key or b"")[1:])), RUN, record))
            async with drained_after(generating(broker, first)), drained_after(generating(broker, second)):
                await until_shared(broker, [1, 1])
                async with killed_after(generating(broker, third)):
                    await until_shared(broker, [0, 1, 1])
                await until_shared(broker, [1, 1])
                assert first.asked + second.asked + third.asked == []
                await hiding.abort()
                await until(broker, lambda: len(first.asked + second.asked) == 1)
        assert await every_answer_is_there_once(broker, 4)
