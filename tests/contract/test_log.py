import anyio
import anyio.lowlevel
import pytest

from service.errors import RecordTooLargeError, TopicMissingError
from service.messaging.broker import Isolation, NewRecord, Partition, TopicSpec
from tests.contract.conftest import OpenBroker
from tests.contract.logs import DEADLINE_S, P0, Q0, create, ignore, meet, read_all, send, texts, values

pytestmark = pytest.mark.anyio


async def test_records_of_a_partition_keep_the_order_of_sending(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, "a", "b")
        await send(broker, "c")
        records = await read_all(broker)
        assert texts(records) == ["a", "b", "c"]
        offsets = [record.offset for record in records]
        assert offsets == sorted(set(offsets))


async def test_records_survive_a_restart(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, "a", "b")
    async with open_broker() as broker:
        await send(broker, "c")
        assert texts(await read_all(broker)) == ["a", "b", "c"]


async def test_headers_none_and_empty_values_come_back_as_they_were(open_broker: OpenBroker) -> None:
    headers = (("h", b"\x00\xff"), ("h", None), ("empty", b""))
    async with open_broker() as broker:
        await create(broker)
        async with broker.producer() as producer:
            await producer.send([NewRecord("first", None, b"k", headers), NewRecord("first", b"", b"", ())])
    async with open_broker() as broker:
        first, second = await read_all(broker)
        assert (first.key, first.value, first.headers) == (b"k", None, headers)
        assert (second.key, second.value, second.headers) == (b"", b"", ())


async def test_keys_choose_partitions_as_java_clients_do(open_broker: OpenBroker) -> None:
    # Expected values: `Utils.toPositive(Utils.murmur2(key)) % 10` of Apache Kafka's Java client.
    expected = {b"21": 0, b"foobar": 6, b"a-little-bit-long-string": 2}
    async with open_broker() as broker:
        await create(broker, partitions=10)
        async with broker.producer() as producer:
            await producer.send([NewRecord("first", key, key) for key in expected])
        for number in range(10):
            found = {record.key for record in await read_all(broker, Partition("first", number))}
            assert found == {key for key, partition in expected.items() if partition == number}


async def test_a_send_with_a_too_large_record_writes_nothing(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.producer() as producer:
            with pytest.raises(RecordTooLargeError, match="100000"):
                await producer.send([*values("small"), NewRecord("first", b"x" * 200_000)])
            await producer.send(values("after"))
        assert texts(await read_all(broker)) == ["after"]


async def test_a_missing_topic_is_an_error_that_names_it(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        async with broker.producer() as producer:
            with pytest.raises(TopicMissingError, match="nowhere"):
                await producer.send(values("a", topic="nowhere"))
        with pytest.raises(TopicMissingError, match="nowhere"):
            await broker.partitions("nowhere")


async def test_creating_a_topic_again_changes_nothing(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=3)
        await send(broker, "a")
        await broker.create_topics([TopicSpec("first", 7)])
        assert await broker.partitions("first") == 3
        assert texts(await read_all(broker)) == ["a"]


async def test_ids_of_topics_stay_the_same(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await broker.create_topics([TopicSpec("second", 1)])
        found = await broker.topic_ids(["first", "second", "missing"])
        assert set(found) in ({"first", "second"}, set())
        assert len(set(found.values())) == len(found)
    async with open_broker() as broker:
        assert await broker.topic_ids(["first", "second"]) == found


async def test_a_waiting_poll_returns_when_a_record_comes(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.reader([P0]) as reader, anyio.create_task_group() as tasks:
            tasks.start_soon(send, broker, "a")
            with anyio.fail_after(DEADLINE_S):
                assert texts(await reader.poll(10, DEADLINE_S)) == ["a"]


async def test_a_poll_without_records_ends_in_time_and_empty(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.reader([P0]) as reader:
            with anyio.fail_after(DEADLINE_S):
                assert await reader.poll(10, 0.05) == []


async def test_a_poll_returns_at_most_its_limit_and_the_next_continues(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, "a", "b", "c")
        async with broker.reader([P0]) as reader:
            assert texts(await reader.poll(2, 1.0)) == ["a", "b"]
            assert texts(await reader.poll(2, 1.0)) == ["c"]


async def test_a_cancelled_poll_loses_nothing(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.reader([P0]) as reader:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reader.poll, 10, DEADLINE_S)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            await send(broker, "a")
            assert texts(await reader.poll(10, DEADLINE_S)) == ["a"]


async def test_seek_reads_again_from_an_offset(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(str, range(5)))
        async with broker.reader([P0]) as reader:
            records = await reader.poll(10, 1.0)
            reader.seek(P0, records[3].offset)
            assert texts(await reader.poll(10, 1.0)) == ["3", "4"]


async def test_thousands_of_records_are_read_whole_in_small_polls(open_broker: OpenBroker) -> None:
    expected = [str(number) for number in range(3_000)]
    async with open_broker() as broker:
        await create(broker)
        for start in range(0, len(expected), 300):
            await send(broker, *expected[start : start + 300])
        found: list[str] = []
        async with broker.reader([P0]) as reader:
            with anyio.fail_after(DEADLINE_S):
                while len(found) < len(expected):
                    found += texts(await reader.poll(70, 1.0))
        assert found == expected


async def test_the_end_of_an_empty_partition_is_its_beginning(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        assert await broker.end_offset(P0, Isolation.READ_COMMITTED) == 0
        assert await read_all(broker) == []


async def test_closing_a_broker_is_quick_with_open_clients(open_broker: OpenBroker) -> None:
    async with (
        open_broker() as broker,
        anyio.create_task_group() as tasks,
    ):
        await create(broker)
        async with (
            broker.transactional_producer("t") as producer,
            broker.reader([P0]) as reader,
            broker.group_member("g", ["first"], ignore, ignore) as member,
        ):
            await producer.begin()
            await producer.send(values("never committed"))
            await meet(member, until=lambda: member.assignment() == {P0})
            tasks.start_soon(reader.poll, 10, 3600.0)
            tasks.start_soon(member.poll, 10, 3600.0)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
            cancelled_s = anyio.current_time()
    assert anyio.current_time() - cancelled_s < DEADLINE_S


async def test_a_poll_cancelled_after_it_found_records_loses_nothing(open_broker: OpenBroker) -> None:
    """At any point of the poll, and with several partitions to read from."""
    sent = [str(number) for number in range(40)]
    async with open_broker() as broker:
        await create(broker, partitions=4)
        async with broker.producer() as producer:
            for number, text in enumerate(sent):
                await producer.send(values(text, partition=number % 4))
    async with open_broker() as broker:
        found: list[str] = []
        async with broker.reader([Partition("first", number) for number in range(4)]) as reader:

            async def poll(steps: int) -> None:
                async with anyio.create_task_group() as tasks:

                    async def cancel() -> None:
                        for _ in range(steps):
                            await anyio.lowlevel.checkpoint()
                        tasks.cancel_scope.cancel()

                    tasks.start_soon(cancel)
                    found.extend(texts(await reader.poll(3, DEADLINE_S)))

            for steps in range(30):
                await poll(steps)
            with anyio.fail_after(DEADLINE_S):
                while len(found) < len(sent):
                    found.extend(texts(await reader.poll(100, 0.1)))
        assert sorted(found, key=int) == sent


async def test_polls_with_a_timeout_of_zero_find_records_at_last(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, "a")
        found: list[str] = []
        async with broker.reader([P0]) as reader:
            with anyio.fail_after(DEADLINE_S):
                while not found:
                    found = texts(await reader.poll(10, 0.0))
        assert found == ["a"]


async def test_whoever_opens_a_log_may_use_its_topics(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await broker.check_rights(reads=["first", "second"], writes=["first"])
        with pytest.raises(TopicMissingError, match="third"):
            await broker.check_rights(reads=["first"], writes=["third"])


async def test_ends_of_many_partitions_come_at_once(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=3)
        await send(broker, "a", "b")
        partitions = [Partition("first", 2), P0, Q0]
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send(values("c", topic="second"))
            assert await broker.end_offsets(partitions, Isolation.READ_COMMITTED) == dict(
                zip(partitions, (0, 2, 0), strict=True)
            )
            assert await broker.end_offsets(partitions, Isolation.READ_UNCOMMITTED) == dict(
                zip(partitions, (0, 2, 1), strict=True)
            )
        assert await broker.end_offsets([], Isolation.READ_COMMITTED) == {}
        with pytest.raises(TopicMissingError, match="third"):
            await broker.end_offsets([P0, Partition("third", 0)], Isolation.READ_COMMITTED)
