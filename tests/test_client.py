"""The stream of finished tasks, as other programs follow it."""

from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from service.adapters.sqlite import SqliteBroker
from service.client import FinishedTask, Start, Subscription, Tasks, open_tasks
from service.errors import (
    BrokerError,
    ConfigurationError,
    IllegalGenerationError,
    NewerVersionError,
    RunLockedError,
    RunNotFoundError,
)
from service.messaging import codec
from service.messaging.broker import Broker, NewRecord, Partition
from service.messaging.topics import TASKS
from tests.conftest import OpenBroker
from tests.fakes.brokers import Breakage, BreakingBroker
from tests.support.examples import finished
from tests.support.logs import DEADLINE_S, RUN, create, end, send, write
from tests.support.newer import by_newer

pytestmark = pytest.mark.anyio

_NAME = TASKS.of(RUN)
_ALL = Subscription(until_end=True)
_LONGER_THAN_A_REBALANCE_S = 2.0
_POISON = NewRecord(_NAME, b"\xff not JSON", partition=0)


async def test_all_tasks_are_read_in_the_order_of_their_partitions(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await _fill(broker, 9, partitions=3)
        seqs = await _seqs(broker, _ALL)
    assert sorted(seqs) == list(range(9))
    for number in range(3):
        assert [seq for seq in seqs if seq % 3 == number] == [number, number + 3, number + 6]


async def test_the_end_is_after_transactions_and_before_an_open_one(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            for seq, commits in ((0, True), (1, False), (2, True)):
                await producer.begin()
                await producer.send([codec.encode(finished(seq), RUN)])
                await (producer.commit() if commits else producer.abort())
            assert await _seqs(broker, _ALL) == [0, 2]
            await producer.begin()
            await producer.send([codec.encode(finished(3), RUN)])
            assert await _seqs(broker, _ALL) == [0, 2]
            assert await _seqs(broker, Subscription(group="g", until_end=True, auto_commit=True)) == [0, 2]
            await producer.commit()
        assert await _seqs(broker, Subscription(group="g", until_end=True, auto_commit=True)) == [3]
        assert await _committed(broker, "g") == await end(broker, TASKS)


async def test_a_follower_gets_tasks_that_are_finished_later(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await _fill(broker, 2)
        async with Tasks.of(broker, RUN, Subscription(start="now")) as tasks:
            await send(broker, finished(2))
            assert await _next(tasks) == finished(2)
            async with anyio.create_task_group() as writing:
                writing.start_soon(send, broker, finished(3))
                assert await _next(tasks) == finished(3)


@pytest.mark.parametrize(
    ("start", "seqs"), [(None, [0, 1, 2, 3]), ("beginning", [0, 1, 2, 3]), ({0: 1}, [1, 2, 3]), ({1: 2, 0: 1}, [2])]
)
async def test_a_follower_may_start_at_offsets(open_broker: OpenBroker, start: Start | None, seqs: list[int]) -> None:
    async with open_broker() as broker:
        await _fill(broker, 4, partitions=2)
        assert sorted(await _seqs(broker, Subscription(start=start, until_end=True))) == seqs


@pytest.mark.parametrize(("start", "said"), [({2: 0}, "from 0 to 1"), ({0: 3}, "from 0 to 2"), ({0: -1}, "0:-1")])
async def test_a_start_at_a_missing_partition_or_offset_is_refused(
    open_broker: OpenBroker, start: Start, said: str
) -> None:
    async with open_broker() as broker:
        await _fill(broker, 4, partitions=2)
        with pytest.raises(ConfigurationError, match=said):
            await _seqs(broker, Subscription(start=start))


async def test_contradictory_options_are_refused(open_broker: OpenBroker) -> None:
    with pytest.raises(ConfigurationError, match="where it committed"):
        Subscription(start="now", group="g")
    with pytest.raises(ConfigurationError, match="'a b'"):
        Subscription(group="a b")
    with pytest.raises(ConfigurationError, match="a group to commit for"):
        Subscription(auto_commit=True)
    async with open_broker() as broker:
        await create(broker)
        async with Tasks.of(broker, RUN, _ALL) as tasks:
            with pytest.raises(ConfigurationError, match="a group to commit for"):
                await tasks.commit()


async def test_a_commit_covers_done_tasks_and_the_group_resumes_there(open_broker: OpenBroker) -> None:
    group = Subscription(group="g", until_end=True)
    async with open_broker() as broker:
        await _fill(broker, 5)
        async with Tasks.of(broker, RUN, group) as tasks:
            for _ in range(3):
                await _next(tasks)
            assert await _committed(broker, "g") is None
            await tasks.commit()
            assert await _committed(broker, "g") == 2
            tasks.done()
            await tasks.commit()
            assert await _committed(broker, "g") == 3
            await _next(tasks)
        assert await _seqs(broker, group) == [3, 4]
        assert await _seqs(broker, Subscription(group="other", until_end=True)) == [0, 1, 2, 3, 4]


async def test_done_tasks_are_committed_with_auto_commit(open_broker: OpenBroker) -> None:
    group = Subscription(group="g", until_end=True, auto_commit=True)
    async with open_broker() as broker:
        await _fill(broker, 5)
        with pytest.raises(ZeroDivisionError):
            await _fail_at(2, broker, group)
        assert await _seqs(broker, group) == [2, 3, 4]
        assert await _seqs(broker, group) == []
        assert await _committed(broker, "g") == await end(broker, TASKS)


async def test_a_loop_can_be_resumed_after_a_break(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await _fill(broker, 5)
        async with Tasks.of(broker, RUN, _ALL) as tasks:
            async for task in tasks:
                if task.task_seq == 1:
                    break
            assert [task.task_seq async for task in tasks] == [2, 3, 4]


async def test_an_unreadable_record_is_counted_skipped_and_committed(open_broker: OpenBroker) -> None:
    group = Subscription(group="g", until_end=True, auto_commit=True)
    async with open_broker() as broker:
        await _fill(broker, 1)
        await write(broker, _POISON, codec.encode(finished(1), RUN), _POISON)
        async with Tasks.of(broker, RUN, group) as tasks:
            assert [task.task_seq async for task in tasks] == [0, 1]
            assert tasks.unreadable == 2
        async with Tasks.of(broker, RUN, group) as tasks:
            assert [task async for task in tasks] == []
            assert tasks.unreadable == 0


async def test_a_task_of_a_newer_version_is_not_committed(open_broker: OpenBroker) -> None:
    group = Subscription(group="g", until_end=True, auto_commit=True)
    async with open_broker() as broker:
        await _fill(broker, 1)
        async with Tasks.of(broker, RUN, group) as tasks:
            assert [task.task_seq async for task in tasks] == [0]
        await write(broker, by_newer(TASKS))
        for _ in range(2):
            async with Tasks.of(broker, RUN, group) as tasks:
                with pytest.raises(NewerVersionError, match="upgrade this process"):
                    await tasks.take(1)


async def test_tasks_before_one_of_a_newer_version_are_delivered(open_broker: OpenBroker) -> None:
    group = Subscription(group="g", auto_commit=True)
    async with open_broker() as broker:
        await create(broker)
        await write(broker, *(codec.encode(finished(seq), RUN) for seq in range(2)), by_newer(TASKS))
        for subscription in (group, Subscription()):
            async with Tasks.of(broker, RUN, subscription) as tasks:
                assert [each.task.task_seq for each in await tasks.take(10)] == [0, 1]
                for _ in range(2):
                    with pytest.raises(NewerVersionError):
                        await tasks.take(10)
                    tasks.done()
        assert await _committed(broker, "g") == 2


async def test_a_follower_that_is_cancelled_in_a_wait_misses_nothing(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await _fill(broker, 9, partitions=3)
    async with open_broker() as broker:  # reads from the file, each partition in turn
        for hundreds_of_us in range(30):
            async with Tasks.of(broker, RUN, _ALL) as tasks:
                taken = []
                with anyio.move_on_after(hundreds_of_us / 10_000):
                    taken = await tasks.take(9)
                assert len(taken) + len([task async for task in tasks]) == 9


async def test_a_stopped_stream_ends_and_leaves_the_rest_for_later(open_broker: OpenBroker) -> None:
    group = Subscription(group="g", auto_commit=True)
    async with open_broker() as broker:
        await _fill(broker, 3)
        async with Tasks.of(broker, RUN, group) as tasks:
            assert await _next(tasks) == finished(0)
            tasks.stop()
            assert [task async for task in tasks] == []
        async with Tasks.of(broker, RUN, group) as tasks:
            assert len(await tasks.take(10)) == 2
            async with anyio.create_task_group() as waiting:
                with anyio.fail_after(DEADLINE_S):
                    waiting.start_soon(_stop_when_idle, tasks)
                    assert await tasks.take(10) == []
        assert await _committed(broker, "g") == 3


async def test_a_rebalance_of_followers_loses_and_repeats_no_task(open_broker: OpenBroker) -> None:
    group, total = Subscription(group="g", auto_commit=True), 120
    taken: dict[str, list[int]] = {"one": [], "two": []}
    enough = anyio.Event()

    async def follow(broker: Broker, name: str, most: int) -> None:
        async with Tasks.of(broker, RUN, group) as tasks:
            async for task in tasks:
                taken[name].append(task.task_seq)
                if len(taken[name]) == most:
                    break
                if sum(map(len, taken.values())) == total:
                    enough.set()
            tasks.done()

    async with open_broker() as broker, anyio.create_task_group() as following:
        await create(broker, partitions=4)
        with anyio.fail_after(DEADLINE_S):
            following.start_soon(follow, broker, "one", 1_000)
            following.start_soon(follow, broker, "two", 20)
            await _send_one_by_one(broker, total)
            await enough.wait()
        following.cancel_scope.cancel()
    assert len(taken["two"]) == 20
    assert sorted(taken["one"] + taken["two"]) == list(range(total))


async def test_done_tasks_are_committed_while_others_wait(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await _fill(broker, 20)
        async with Tasks.of(broker, RUN, Subscription(group="g", auto_commit=True)) as tasks:
            for _ in range(3):
                await _next(tasks)
            await _until_committed(broker, "g", 2)
            tasks.done()
            await _until_committed(broker, "g", 3)


async def test_a_busy_member_keeps_its_partition(open_broker: OpenBroker) -> None:
    group = Subscription(group="g", auto_commit=True)
    async with open_broker() as broker:
        await _fill(broker, 40, partitions=2)
        async with Tasks.of(broker, RUN, group) as busy:
            first = await _next(busy)
            async with Tasks.of(broker, RUN, group) as other:
                there = [task.task_seq for task in [await _next(other) for _ in range(20)]]
                with anyio.move_on_after(_LONGER_THAN_A_REBALANCE_S):
                    await anext(other)
                    pytest.fail("the busy member was expelled")
                here = [task.task_seq for task in [first, *[await _next(busy) for _ in range(19)]]]
    assert sorted(here + there) == list(range(40))


async def test_lost_partitions_refuse_one_commit_and_are_shared(open_broker: OpenBroker) -> None:
    group = Subscription(group="g")
    async with open_broker() as broker:
        await _fill(broker, 8, partitions=2)
        async with Tasks.of(broker, RUN, group) as first:
            mine = [(await _next(first)).task_seq for _ in range(8)]
            first.done()
            async with Tasks.of(broker, RUN, group) as second:
                again = [(await _next(second)).task_seq for _ in range(4)]
                with pytest.raises(IllegalGenerationError, match=f"{_NAME}/{again[0] % 2} have other owners"):
                    await first.commit()
                await first.commit()
                assert await _committed(broker, "g", 1 - again[0] % 2) == await end(broker, TASKS, 1 - again[0] % 2)
                assert await _committed(broker, "g", again[0] % 2) is None
                second.done()
                await second.commit()
            await send(broker, finished(8), partition=0)
            assert await _next(first) == finished(8)
    assert sorted(mine) == list(range(8))
    assert again == [each for each in range(8) if each % 2 == again[0] % 2]


async def test_a_log_that_fails_is_reported_to_the_consumer(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await _fill(broker, 2)
        failing = BreakingBroker(broker, Breakage.GROUP, commits_left=100)
        async with Tasks.of(failing, RUN, Subscription(group="g")) as tasks:
            assert await _next(tasks) == finished(0)
            failing.breakage = Breakage.POLL
            with pytest.raises(BrokerError, match="went away"):
                await _drain(tasks)
            with pytest.raises(BrokerError, match="went away"):
                await tasks.commit()


async def test_a_group_without_an_offset_says_that_it_starts_over(open_broker: OpenBroker) -> None:
    group = Subscription(group="g", until_end=True, auto_commit=True)
    async with open_broker() as broker:
        await create(broker)
        with capture_logs() as logs:
            assert await _seqs(broker, group) == []
            await send(broker, finished(0))
            assert await _seqs(broker, group) == [0]
            assert "group.starts_at_beginning" not in [each["event"] for each in logs]
            assert await _seqs(broker, Subscription(group="other", until_end=True)) == [0]
            assert "group.starts_at_beginning" in [each["event"] for each in logs]


async def test_a_group_on_a_thread_passes_errors_on_unchanged(tmp_path: Path) -> None:
    async with SqliteBroker.open(tmp_path / f"{RUN}.sqlite3") as broker:
        await _fill(broker, 5)
    place = f"sqlite:{tmp_path}"
    with pytest.raises(ZeroDivisionError):
        await _fail_on_thread(2, place)
    with anyio.move_on_after(0.0) as cancelled:
        async with open_tasks(place, RUN, group="g"):
            pytest.fail("it was cancelled before it opened")
    assert cancelled.cancelled_caught
    async with open_tasks(place, RUN, group="g", until_end=True) as tasks:
        assert [task.task_seq async for task in tasks] == [2, 3, 4]
        await tasks.commit()


async def test_only_groups_are_locked_out_while_a_process_writes(tmp_path: Path) -> None:
    place = f"sqlite:{tmp_path}"
    async with SqliteBroker.open(tmp_path / f"{RUN}.sqlite3") as broker:
        await _fill(broker, 2)
        async with open_tasks(place, RUN) as tasks:
            assert [await _next(tasks), await _next(tasks)] == [finished(0), finished(1)]
            await send(broker, finished(2))
            assert await _next(tasks) == finished(2)
        with pytest.raises(RunLockedError):
            await _read(place, group="g")
        with pytest.raises(RunNotFoundError, match=RUN):
            await _read(place, run="nobody")
    assert await _read(place, group="g") == [0, 1, 2]
    assert await _read(place, group="g") == [0, 1, 2]
    with pytest.raises(RunNotFoundError):
        await _read(place, run="nobody", group="g")
    assert not await anyio.Path(tmp_path / "nobody.sqlite3").exists()


async def _read(place: str, run: str = RUN, group: str | None = None) -> list[int]:
    async with open_tasks(place, run, group=group, until_end=True) as tasks:
        return [task.task_seq async for task in tasks]


async def _seqs(broker: Broker, subscription: Subscription) -> list[int]:
    async with Tasks.of(broker, RUN, subscription) as tasks:
        with anyio.fail_after(DEADLINE_S):
            return [task.task_seq async for task in tasks]


async def _fill(broker: Broker, count: int, partitions: int = 1) -> None:
    """Create the topics and write tasks to their partitions in turn."""
    await create(broker, partitions)
    for seq in range(count):
        await send(broker, finished(seq), partition=seq % partitions)


async def _send_one_by_one(broker: Broker, count: int) -> None:
    for seq in range(count):
        await send(broker, finished(seq))


async def _next(tasks: Tasks) -> FinishedTask:
    with anyio.fail_after(DEADLINE_S):
        return await anext(tasks)


async def _until_committed(broker: Broker, group: str, offset: int) -> None:
    with anyio.fail_after(DEADLINE_S):
        async with broker.reader([]) as nothing:
            while await _committed(broker, group) != offset:
                await nothing.poll(1, 0.02)


async def _committed(broker: Broker, group: str, number: int = 0) -> int | None:
    found = await broker.committed(f"seedstream.{RUN}.consume.{group}", Partition(_NAME, number))
    return None if found is None else found.offset


async def _stop_when_idle(tasks: Tasks) -> None:
    await anyio.wait_all_tasks_blocked()
    tasks.stop()


async def _fail_at(seq: int, broker: Broker, subscription: Subscription) -> None:
    """Follow the stream with a body that fails at a task."""
    async with Tasks.of(broker, RUN, subscription) as tasks:
        async for task in tasks:
            _ = 1 // (seq - task.task_seq)


async def _fail_on_thread(seq: int, place: str) -> None:
    async with open_tasks(place, RUN, group="g", auto_commit=True) as tasks:
        async for task in tasks:
            _ = 1 // (seq - task.task_seq)


async def _drain(tasks: Tasks) -> None:
    with anyio.fail_after(DEADLINE_S):
        async for _ in tasks:
            pass
