"""Group commit: an error reaches every write that it concerns, and no acknowledged record is lost."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from anyio import lowlevel

from service.adapters.sqlite import SqliteBroker
from service.errors import BrokerError, OutcomeUnknownError
from service.messaging.broker import Broker, Committed, NewRecord
from tests.contract.logs import DEADLINE_S, P0, create, read_all, send, texts

pytestmark = pytest.mark.anyio


async def acknowledged(broker: Broker, *records: NewRecord) -> list[str]:
    """Send records concurrently; return the values that were acknowledged."""
    done: list[str] = []

    async def send_one(record: NewRecord) -> None:
        async with broker.producer() as producer:
            try:
                await producer.send([record])
            except BrokerError:
                return
        done.append((record.value or b"").decode())

    async with anyio.create_task_group() as tasks:
        for record in records:
            tasks.start_soon(send_one, record)
    return sorted(done)


async def commit_an_offset_that_cannot_be_stored(broker: Broker) -> None:
    async with broker.transactional_producer("t") as producer:
        await producer.begin()
        await producer.send_offsets("group", {P0: Committed(2**70)})
        with pytest.raises(BrokerError):
            await producer.commit()


def record(text: str, header: str = "h") -> NewRecord:
    return NewRecord("first", text.encode(), headers=((header, b"x"),))


async def test_a_group_commit_acknowledges_only_what_is_committed(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite3"
    async with SqliteBroker.open(file) as broker:
        await create(broker)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(commit_an_offset_that_cannot_be_stored, broker)
            done = await acknowledged(broker, *(record(text) for text in "abcdef"))
        seen = texts(await read_all(broker))
        await send(broker, "later")
    async with SqliteBroker.open(file) as broker:
        found = texts(await read_all(broker))
    assert sorted(seen) == done
    assert sorted(found) == sorted([*done, "later"])


async def test_an_unencodable_header_concerns_its_sender_alone(tmp_path: Path) -> None:
    async with SqliteBroker.open(tmp_path / "log.sqlite3") as broker:
        await create(broker)
        records = (record("first"), record("bad", header="\ud800"), record("good"))
        assert await acknowledged(broker, *records) == ["first", "good"]
        assert sorted(texts(await read_all(broker))) == ["first", "good"]


async def test_writes_of_one_commit_become_readable_together(tmp_path: Path) -> None:
    sent = [f"{number:02}" for number in range(40)]
    polls: list[list[str]] = []
    async with SqliteBroker.open(tmp_path / "log.sqlite3") as broker:
        await create(broker)
        async with broker.reader([P0]) as reader, anyio.create_task_group() as tasks:
            tasks.start_soon(acknowledged, broker, *(record(text) for text in sent))
            with anyio.fail_after(DEADLINE_S):
                while sum(map(len, polls)) < len(sent):
                    polls.append(texts(await reader.poll(100, 1.0)))
    assert [text for found in polls for text in found] == sent
    assert len(polls) < len(sent) / 4


async def test_a_cancelled_sender_loses_no_write_queued_behind_its_own(tmp_path: Path) -> None:
    async with SqliteBroker.open(tmp_path / "log.sqlite3") as broker:
        await create(broker)
        async with anyio.create_task_group() as tasks, anyio.create_task_group() as cancelled:
            cancelled.start_soon(acknowledged, broker, record("first"))
            tasks.start_soon(acknowledged, broker, record("second"))
            await lowlevel.checkpoint()
            cancelled.cancel_scope.cancel()
        assert texts(await read_all(broker)) == ["first", "second"]


@contextmanager
def files_of_at_most(limit: int) -> Iterator[None]:
    """Let every write beyond this size of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_log_whose_commit_failed_takes_no_further_write(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite3"
    async with SqliteBroker.open(file) as broker:
        await create(broker)
        await send(broker, "a")
        written = (await anyio.Path(tmp_path, "log.sqlite3-wal").stat()).st_size
        with files_of_at_most(written + 5_000), pytest.raises(OutcomeUnknownError, match="start again"):
            await send(broker, "b" * 50_000)
        with pytest.raises(BrokerError, match="earlier write failed"):
            await send(broker, "c")
        assert texts(await read_all(broker)) == ["a"]
    async with SqliteBroker.open(file) as broker:
        await send(broker, "d")
        assert texts(await read_all(broker)) in (["a", "d"], ["a", "b" * 50_000, "d"])
