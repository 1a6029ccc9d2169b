import anyio
import pytest

from service.errors import BrokerError, FencedError, RecordTooLargeError
from service.messaging.broker import Committed, Isolation, NewRecord, Partition
from tests.contract.conftest import OpenBroker
from tests.contract.logs import DEADLINE_S, P0, Q0, create, read_all, send, taken_effect, texts, upto, values

pytestmark = pytest.mark.anyio


async def test_records_of_several_topics_and_offsets_appear_together(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send(values("a"))
            await producer.send(values("b", topic="second"))
            await producer.send_offsets("g", upto(7, "note"))
            assert await read_all(broker, P0) == []
            assert await read_all(broker, Q0) == []
            assert await broker.committed("g", P0) is None
            await producer.commit()
        assert texts(await read_all(broker, P0)) == ["a"]
        assert texts(await read_all(broker, Q0)) == ["b"]
        assert await broker.committed("g", P0) == Committed(7, "note")


async def test_an_aborted_transaction_leaves_only_a_gap_in_offsets(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send(values("a", "b"))
            await producer.send_offsets("g", upto(7))
            await producer.abort()
            await producer.begin()
            await producer.send(values("c"))
            await producer.commit()
        (record,) = await read_all(broker)
        assert record.value == b"c"
        assert record.offset >= 2
        assert await broker.committed("g", P0) is None


async def test_committed_offsets_of_many_partitions_come_at_once(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=3)
        written = {P0: Committed(7, "note"), Q0: Committed(9)}
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send_offsets("g", written)
            await producer.commit()
        await taken_effect(broker, "t")
        assert await broker.committed_offsets("g", [P0, Partition("first", 2), Q0]) == written
        assert await broker.committed_offsets("another", [P0, Q0]) == {}
        assert await broker.committed_offsets("g", []) == {}


async def test_a_transaction_takes_the_offsets_of_one_group(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send_offsets("g", upto(7))
            with pytest.raises(BrokerError, match=r"expected offsets of group .* alone"):
                await producer.send_offsets("h", upto(7))
            await producer.abort()
            await producer.begin()
            await producer.send_offsets("h", upto(7))
            await producer.commit()
        await taken_effect(broker, "t")
        assert await broker.committed("g", P0) is None
        assert await broker.committed("h", P0) == Committed(7)


async def test_offsets_have_gaps_where_transactions_ended(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            for text in ("a", "b"):
                await producer.begin()
                await producer.send(values(text))
                await producer.commit()
        first, second = await read_all(broker)
        assert second.offset > first.offset + 1


async def test_an_open_transaction_hides_later_records_of_others(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send(values("inside"))
            await send(broker, "later")
            assert await read_all(broker) == []
            end = await broker.end_offset(P0, Isolation.READ_UNCOMMITTED)
            assert end > await broker.end_offset(P0, Isolation.READ_COMMITTED)
            await producer.commit()
        assert texts(await read_all(broker)) == ["inside", "later"]


async def test_a_waiting_reader_reads_on_after_an_aborted_transaction(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer, broker.reader([P0]) as reader:
            await producer.begin()
            await producer.send(values("inside"))
            await send(broker, "later")
            assert await reader.poll(10, 0.05) == []
            await producer.abort()
            assert texts(await reader.poll(10, DEADLINE_S)) == ["later"]


async def test_leaving_after_a_cancelled_send_aborts(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send(values("inside"))
            with anyio.CancelScope() as scope:
                scope.cancel()
                await producer.send(values("cancelled"))
        await send(broker, "later")
        assert texts(await read_all(broker)) == ["later"]


@pytest.mark.parametrize("ending", ["marker", "abort", "nothing", "record"])
async def test_a_rebuild_ends_at_any_ending_of_the_log(open_broker: OpenBroker, ending: str) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            if ending != "nothing":
                await producer.begin()
                await producer.send(values("a"))
                await producer.commit()
            if ending == "abort":
                await producer.begin()
                await producer.send(values("b"))
                await producer.abort()
        if ending == "record":
            await send(broker, "c")
        with anyio.fail_after(DEADLINE_S):
            records = await read_all(broker)
        expected = {"marker": ["a"], "abort": ["a"], "nothing": [], "record": ["a", "c"]}
        assert texts(records) == expected[ending]
        async with broker.reader([P0]) as reader:
            end = await broker.end_offset(P0, Isolation.READ_COMMITTED)
            with anyio.fail_after(DEADLINE_S):
                while reader.position(P0) != end:
                    await reader.poll(10, 0.1)


async def test_a_reopened_id_fences_its_predecessor_and_aborts_it(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as old:
            await old.begin()
            await old.send(values("zombie"))
            async with broker.transactional_producer("t") as new:
                with pytest.raises(FencedError):
                    await old.commit()
                with pytest.raises(FencedError):
                    await old.begin()
                await new.begin()
                await new.send(values("heir"))
                await new.commit()
        assert texts(await read_all(broker)) == ["heir"]


async def test_other_ids_are_not_fenced(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as one, broker.transactional_producer("u") as other:
            for producer in (one, other):
                await producer.begin()
                await producer.send(values("x"))
                await producer.commit()
        assert len(await read_all(broker)) == 2


async def test_after_a_failed_send_a_commit_raises_until_an_abort(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send(values("lost"))
            with pytest.raises(RecordTooLargeError):
                await producer.send([NewRecord("first", b"x" * 200_000)])
            with pytest.raises(BrokerError):
                await producer.commit()
            await producer.abort()
            await producer.begin()
            await producer.send(values("kept"))
            await producer.commit()
        assert texts(await read_all(broker)) == ["kept"]


async def test_sending_without_a_transaction_is_an_error(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            with pytest.raises(BrokerError, match="begin"):
                await producer.send(values("a"))


async def test_closing_a_producer_aborts_its_open_transaction(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send(values("a"))
        async with broker.transactional_producer("t"):
            await send(broker, "b")
            assert texts(await read_all(broker)) == ["b"]


async def test_a_cancelled_commit_is_atomic(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send(values("a"))
            await producer.send(values("b", topic="second"))
            with anyio.CancelScope() as scope:
                scope.cancel()
                await producer.commit()
        async with broker.transactional_producer("t"):
            assert len(await read_all(broker, P0)) == len(await read_all(broker, Q0))


async def test_offsets_never_pass_one_that_a_group_has_committed(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send(values("a", "b", "c"))
            await producer.abort()
            end = await broker.end_offset(P0, Isolation.READ_COMMITTED)
            await producer.begin()
            await producer.send_offsets("g", upto(end))
            await producer.commit()
    async with open_broker() as broker:
        await send(broker, "d")
        (record,) = await read_all(broker, start=end)
        assert record.value == b"d"
