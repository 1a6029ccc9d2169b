import anyio
import pytest

from service.errors import IllegalGenerationError
from service.messaging.broker import Committed, NewRecord, Partition
from tests.contract.conftest import OpenBroker
from tests.contract.logs import DEADLINE_S, P0, create, ignore, meet, poll_until, polling, send, texts, upto, values

pytestmark = pytest.mark.anyio


async def test_a_group_starts_at_offset_0_and_resumes_at_its_commit(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, "a", "b", "c")
        async with broker.group_member("g", ["first"], ignore, ignore) as member:
            records = await poll_until(member, 3)
            assert texts(records) == ["a", "b", "c"]
            await member.commit(upto(records[1].offset + 1, "seen two"))
        assert await broker.committed("g", P0) == Committed(records[1].offset + 1, "seen two")
        async with broker.group_member("g", ["first"], ignore, ignore) as member:
            assert texts(await poll_until(member, 1)) == ["c"]


async def test_committed_offsets_survive_restarts_and_move_on_commit(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, "a")
        async with broker.group_member("g", ["first"], ignore, ignore) as member:
            (record,) = await poll_until(member, 1)
            assert await broker.committed("g", P0) is None
            await member.commit(upto(member.position(P0), "n"))
    async with open_broker() as broker:
        assert await broker.committed("g", P0) == Committed(record.offset + 1, "n")
        assert await broker.committed("other", P0) is None


async def test_two_members_never_own_a_partition_at_the_same_time(open_broker: OpenBroker) -> None:
    owned: dict[str, frozenset[Partition]] = {"one": frozenset(), "two": frozenset()}
    async with open_broker() as broker:
        await create(broker, partitions=4)

        async def consume(name: str, both: anyio.Event) -> None:
            async def revoked(_: frozenset[Partition]) -> None:
                owned[name] = frozenset()

            async def assigned(partitions: frozenset[Partition]) -> None:
                others = frozenset().union(*(held for other, held in owned.items() if other != name))
                assert not partitions & others
                owned[name] = partitions
                if all(len(held) == 2 for held in owned.values()):
                    both.set()

            async with broker.group_member("g", ["first"], revoked, assigned) as member:
                while not both.is_set():
                    await member.poll(10, 0.05)
                owned[name] = frozenset()

        both = anyio.Event()
        with anyio.fail_after(DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(consume, "one", both)
                tasks.start_soon(consume, "two", both)
        assert both.is_set()


async def test_the_next_owner_starts_at_a_commit_made_on_revocation(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, "a", "b")
        handed_over = anyio.Event()

        async def first(ready: anyio.Event) -> None:
            async def revoked(partitions: frozenset[Partition]) -> None:
                await member.commit(dict.fromkeys(partitions, Committed(1)))
                handed_over.set()

            async with broker.group_member("g", ["first"], revoked, ignore) as member:
                await poll_until(member, 2)
                ready.set()
                while not handed_over.is_set():
                    await member.poll(10, 0.05)

        ready = anyio.Event()
        with anyio.fail_after(DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(first, ready)
                await ready.wait()
                async with broker.group_member("g", ["first"], ignore, ignore) as next_owner:
                    assert texts(await poll_until(next_owner, 1)) == ["b"]


async def test_a_member_that_missed_a_rebalance_cannot_commit(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, "a")
        async with (
            broker.group_member("g", ["first"], ignore, ignore) as away,
            broker.group_member("g", ["first"], ignore, ignore) as next_owner,
        ):
            await meet(away, next_owner, until=lambda: len(away.assignment()) + len(next_owner.assignment()) == 1)
            owner, other = (away, next_owner) if away.assignment() else (next_owner, away)
            async with broker.group_member("g", ["first"], ignore, ignore) as third:
                await meet(third, other, until=lambda: len(third.assignment()) + len(other.assignment()) == 1)
            with pytest.raises(IllegalGenerationError):
                await owner.commit(upto(1))
        assert await broker.committed("g", P0) is None


async def test_an_expelled_member_is_not_sure_of_its_partitions(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with (
            broker.group_member("g", ["first"], ignore, ignore) as away,
            broker.group_member("g", ["first"], ignore, ignore) as next_owner,
        ):
            await meet(away, next_owner, until=lambda: len(away.assignment()) + len(next_owner.assignment()) == 1)
            owner, other = (away, next_owner) if away.assignment() else (next_owner, away)
            assert owner.is_sure()
            async with broker.group_member("g", ["first"], ignore, ignore) as third:
                await meet(third, other, until=lambda: len(third.assignment()) + len(other.assignment()) == 1)
                assert (third if third.assignment() else other).is_sure()
                with anyio.fail_after(DEADLINE_S):
                    while owner.is_sure():
                        await other.poll(0, 0.05)
            await meet(
                owner,
                other,
                until=lambda: owner.is_sure() and len(owner.assignment()) + len(other.assignment()) == 1,
            )


async def test_paused_partitions_give_no_records_until_they_go_on(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=2)
        async with broker.producer() as producer, broker.group_member("g", ["first"], ignore, ignore) as member:
            await meet(member, until=lambda: len(member.assignment()) == 2)
            member.pause(frozenset({P0}))
            await producer.send([*values("a", "b", partition=0), *values("c", partition=1)])
            assert texts(await poll_until(member, 1)) == ["c"]
            assert await member.poll(10, 0.3) == []
            assert member.position(P0) == 0
            member.pause(frozenset({Partition("first", 1)}))
            await producer.send(values("d", partition=1))
            assert texts(await poll_until(member, 2)) == ["a", "b"]
            member.pause(frozenset())
            assert texts(await poll_until(member, 1)) == ["d"]


async def test_partitions_may_be_paused_as_they_are_assigned(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, "a")

        async def assigned(partitions: frozenset[Partition]) -> None:
            member.pause(partitions)

        async with broker.group_member("g", ["first"], ignore, assigned) as member:
            with anyio.fail_after(DEADLINE_S):
                while not member.assignment():
                    assert await member.poll(10, 0.05) == []
            assert await member.poll(10, 0.3) == []
            member.pause(frozenset())
            assert texts(await poll_until(member, 1)) == ["a"]


async def test_a_group_skips_transaction_markers(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send([NewRecord("first", b"a", partition=0)])
            await producer.commit()
        async with broker.group_member("g", ["first"], ignore, ignore) as member:
            (record,) = await poll_until(member, 1)
            await member.poll(10, 0.1)
            assert member.position(P0) > record.offset + 1


async def test_partitions_of_a_member_that_leaves_go_to_the_rest(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=2)
        async with broker.group_member("g", ["first"], ignore, ignore) as stays:
            async with broker.group_member("g", ["first"], ignore, ignore) as leaves:
                await meet(stays, leaves, until=lambda: len(stays.assignment()) == len(leaves.assignment()) == 1)
            await meet(stays, until=lambda: len(stays.assignment()) == 2)


async def test_a_member_cannot_commit_for_a_partition_of_another(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=2)
        async with (
            broker.group_member("g", ["first"], ignore, ignore) as one,
            broker.group_member("g", ["first"], ignore, ignore) as other,
        ):
            await meet(one, other, until=lambda: len(one.assignment()) == len(other.assignment()) == 1)
            (lost,) = other.assignment()
            with pytest.raises(IllegalGenerationError):
                await one.commit({lost: Committed(1)})


async def test_members_of_a_group_are_listed_with_their_partitions(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=3)
        assert list(await broker.members("g")) == []
        async with broker.group_member("g", ["first"], ignore, ignore) as member:
            await meet(member, until=lambda: len(member.assignment()) == 3)
            (listed,) = await broker.members("g")
            assert listed.owned == member.assignment()
        assert list(await broker.members("g")) == []


async def test_a_partition_stays_with_its_owner_when_others_join(open_broker: OpenBroker) -> None:
    shares: list[frozenset[Partition]] = []

    async def joined(partitions: frozenset[Partition]) -> None:
        shares.append(partitions)

    async with open_broker() as broker:
        await create(broker)
        async with broker.group_member("g", ["first"], ignore, ignore) as owner:
            await meet(owner, until=lambda: len(owner.assignment()) == 1)
            async with polling(owner), broker.group_member("g", ["first"], ignore, joined) as other:
                await meet(other, until=lambda: bool(shares))
            assert shares[0] == frozenset()
