"""A checkpoint is used if it is one of this log, and ignored if not; the broker makes no difference."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from msgspec.structs import replace

from service.adapters.sqlite import SqliteBroker
from service.checkpoints import Checkpoints, CheckpointWriter, Fold, State, file, writer
from service.errors import DecodeError
from service.messaging import codec
from service.messaging.bookmark import Bookmark, Mark
from service.messaging.broker import Broker
from service.messaging.dead_letters import DEAD_LETTER_TOPICS, dead_letter
from service.messaging.messages import Message
from service.messaging.topic_reader import Tail
from service.messaging.topics import CONTROL, DECISIONS, POOL, PROMPTS
from tests.support import examples
from tests.support.logs import DEADLINE_S, RUN, create, records_of, send, write

OpenBroker = Callable[[], AbstractAsyncContextManager[Broker]]

FOLD = Fold("keys", 1)
FOLLOWED = (CONTROL, PROMPTS, POOL, DECISIONS, *DEAD_LETTER_TOPICS)

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "r.state"


async def fold(broker: Broker, folder: Path, of: Fold = FOLD) -> tuple[list[str], int]:
    """Return the keys of all messages, sorted, and how many of them came from a checkpoint; leave a checkpoint."""
    checkpoints = Checkpoints(folder)
    async with Tail.of(broker, RUN, FOLLOWED) as tail:
        state = await checkpoints.restore(of, tail)
        known: list[str] = list(state.values["keys"]) if state is not None else []
        restored = len(known)
        async for batch in tail.batches_to_end():
            known += [message.key for message in batch]
        await checkpoints.save(of, tail.bookmark(), State({"keys": known}))
    return sorted(known), restored


async def begin(broker: Broker, *more: Message) -> None:
    await create(broker, partitions=2)
    await send(broker, examples.definition(2), *map(examples.prompt, range(5)), examples.decision(0), *more)


async def test_only_the_rest_of_the_log_is_read(open_broker: OpenBroker, folder: Path) -> None:
    async with open_broker() as broker:
        await begin(broker)
        whole, restored = await fold(broker, folder)
        assert (len(whole), restored) == (7, 0)
        assert await fold(broker, folder) == (whole, 7)
        await send(broker, examples.prompt(5), examples.pooled(2))
        whole, restored = await fold(broker, folder)
        assert (len(whole), restored) == (9, 7)
    async with open_broker() as broker:
        assert await fold(broker, folder) == (whole, 9)


async def test_transactions_behind_a_checkpoint_are_read(open_broker: OpenBroker, folder: Path) -> None:
    async with open_broker() as broker:
        await begin(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send([codec.encode(examples.decision(7), RUN)])
            await producer.commit()
            assert (await fold(broker, folder))[1] == 0
            await producer.begin()
            await producer.send([codec.encode(examples.decision(8), RUN)])
            await producer.commit()
        whole, restored = await fold(broker, folder)
        assert (len(whole), restored) == (9, 8)
        assert await fold(broker, folder) == (whole, 9)


async def test_dead_letters_are_read_every_time(open_broker: OpenBroker, folder: Path) -> None:
    async with open_broker() as broker:
        await begin(broker)
        await fold(broker, folder)
        (record, *_) = await records_of(broker, PROMPTS.of(RUN))
        await write(broker, dead_letter(record, DecodeError("no"), "generate"))
        async with Tail.of(broker, RUN, FOLLOWED) as tail:
            assert await Checkpoints(folder).restore(FOLD, tail) is not None
            assert [len(batch) async for batch in tail.batches_to_end() if batch] == [1]
            assert not [each for each in tail.bookmark().marks if each.topic.endswith(".dlq")]


async def test_a_checkpoint_of_another_run_is_ignored(open_broker: OpenBroker, folder: Path, tmp_path: Path) -> None:
    async with SqliteBroker.open(tmp_path / "another.sqlite3") as another:
        await begin(another)
        await fold(another, folder)
    async with open_broker() as broker:
        await begin(broker, examples.pooled(2))
        assert (await fold(broker, folder))[1] == 0
        assert (await fold(broker, folder))[1] == 8


async def test_a_checkpoint_ahead_of_the_log_is_ignored(open_broker: OpenBroker, folder: Path) -> None:
    async with open_broker() as broker:
        await begin(broker)
        async with Tail.of(broker, RUN, FOLLOWED) as tail:
            async for _ in tail.batches_to_end():
                pass
            marks = dict(tail.bookmark().marks)
            (last,) = [each for each in marks if each.topic == DECISIONS.of(RUN)]
            marks[last] = Mark(0, marks[last].position + 1, marks[last].position, "x")
            await Checkpoints(folder).save(FOLD, Bookmark(marks), State({"keys": ["wrong"]}))
        assert (await fold(broker, folder))[1] == 0


@pytest.mark.parametrize("wrong", ["begin", "digest", "partition", "last"])
async def test_a_checkpoint_that_differs_is_ignored(open_broker: OpenBroker, folder: Path, wrong: str) -> None:
    async with open_broker() as broker:
        await begin(broker, examples.decision(1))
        async with Tail.of(broker, RUN, FOLLOWED) as tail:
            async for _ in tail.batches_to_end():
                pass
            marks = dict(tail.bookmark().marks)
            (place,) = [each for each in marks if each.topic == DECISIONS.of(RUN)]
            mark = marks[place]
            if wrong == "partition":
                del marks[place]
            else:
                marks[place] = {
                    "begin": replace(mark, begin=1),
                    "digest": replace(mark, digest="x"),
                    "last": replace(mark, last=0),
                }[wrong]
            await Checkpoints(folder).save(FOLD, Bookmark(marks), State({"keys": ["wrong"]}))
        whole, restored = await fold(broker, folder)
        assert (len(whole), restored) == (8, 0)


async def test_another_version_of_a_fold_is_ignored(open_broker: OpenBroker, folder: Path) -> None:
    async with open_broker() as broker:
        await begin(broker)
        await fold(broker, folder, Fold("keys", 2))
        assert (await fold(broker, folder))[1] == 0
        assert (await fold(broker, folder))[1] == 7
        assert (await fold(broker, folder, Fold("other", 1)))[1] == 0


@pytest.fixture
def no_folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("not a folder")
    return tmp_path / "file"


async def test_a_folder_that_cannot_be_written_does_no_harm(open_broker: OpenBroker, no_folder: Path) -> None:
    async with open_broker() as broker:
        await begin(broker)
        for folder in (no_folder, no_folder / "r.state", no_folder):
            assert (await fold(broker, folder))[1] == 0


async def test_a_writer_writes_when_enough_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not again before the pause is over; at the end it writes the rest."""
    monkeypatch.setattr(writer, "_RECORDS", 10)
    monkeypatch.setattr(writer, "_PAUSE_S", 0.0)
    seen, taken = 0, list[int]()

    def take() -> tuple[Bookmark, State]:
        taken.append(seen)
        return Bookmark({}), State({"seen": seen})

    with anyio.fail_after(DEADLINE_S):
        written = CheckpointWriter(Checkpoints(tmp_path), FOLD, take)
        for more in (9, 1, 5, 5):
            seen += more
            written.note(more)
            if written.is_due:
                await written.finish()
        assert taken == [10]
        await written.finish()
        await written.finish()
    assert taken == [10, 20]
    _, found = await to_thread.run_sync(file.read, tmp_path / "keys.checkpoint")
    assert found.values == {"seen": 20}
