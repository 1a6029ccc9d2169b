"""Dead letters: their content, and their replay, which is exactly-once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest
from msgspec.structs import replace

from consumers.admit import Admit
from producers import replay
from producers.replay import DeadLetterReplay
from service.adapters.partitioning import checked_size
from service.errors import BrokerError, DecodeError, RecordTooLargeError
from service.messaging import codec, topics
from service.messaging.broker import Broker, Committed, Headers, NewRecord, Partition, Record
from service.messaging.codec import header
from service.messaging.dead_letters import (
    DEAD_LETTER_TOPICS,
    STAGE_INPUTS,
    DeadLetter,
    dead_letter,
    put_back,
    replay_group,
)
from service.messaging.messages import Decision
from service.messaging.record_size import MAX_RECORD_BYTES
from service.messaging.topic_reader import Tail
from service.run.progress import Progress
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.conftest import OpenBroker
from tests.fakes.brokers import Breakage, BreakingBroker
from tests.support import examples
from tests.support.logs import RUN, create, dead_letters, forget_offsets, read, records_of, send, work_off, write

pytestmark = pytest.mark.anyio

VERSION = version("seedstream")
PREFIX = "__seedstream.errors."
REASON = DecodeError("expected this, got that")


def poison(seq: int, *, value: bytes = b"{") -> NewRecord:
    return replace(codec.encode(examples.answer(seq), RUN), value=value)


def lying(record: NewRecord, topic: str = topics.CANDIDATES.of(RUN), number: int = 0, offset: int = 0) -> Record:
    """Return the record as a reader receives it."""
    return Record(Partition(topic, number), offset, record.key, record.value, record.headers, 0)


def letter_of(record: NewRecord, number: int = 0, offset: int = 0) -> NewRecord:
    return dead_letter(lying(record, number=number, offset=offset), REASON, "admit")


def facts_of(letter: NewRecord | Record) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX): (value or b"").decode() for name, value in letter.headers if name.startswith(PREFIX)
    }


@asynccontextmanager
async def run_with(open_broker: OpenBroker, *records: NewRecord, partitions: int = 1) -> AsyncIterator[Broker]:
    async with open_broker() as broker:
        await create(broker, partitions)
        await write(broker, *records)
        yield broker


async def progress_of(broker: Broker) -> Progress:
    progress = Progress()
    async with Tail.of(broker, RUN, (*topics.ALL, *DEAD_LETTER_TOPICS)) as tail:
        async for message in tail.messages_to_end():
            progress.apply(message)
    return progress


def test_a_dead_letter_names_the_stage_and_the_reason() -> None:
    record = poison(3)
    letter = dead_letter(lying(record, number=2, offset=7), RecordTooLargeError("12 MB \udcff"), "admit")
    facts = facts_of(letter)
    assert (letter.topic, letter.key, letter.value) == (topics.CANDIDATES.dead_letters_of(RUN), record.key, b"{")
    assert letter.headers[: len(record.headers)] == record.headers
    assert {name: facts[name] for name in ("topic", "partition", "offset", "stage", "attempts")} == {
        "topic": topics.CANDIDATES.of(RUN),
        "partition": "2",
        "offset": "7",
        "stage": "admit",
        "attempts": "1",
    }
    assert (facts["consumer_group"], facts["app_version"]) == (f"seedstream.{RUN}.admit", VERSION)
    assert (facts["exception.class.name"], facts["exception.message"]) == ("RecordTooLargeError", "12 MB ?")
    assert facts_of(dead_letter(lying(record), REASON, "admit", "another"))["consumer_group"] == "another"


def test_a_replayed_record_is_unchanged_and_names_its_offset() -> None:
    record = poison(3)
    back = put_back(lying(letter_of(record, number=2), topics.CANDIDATES.dead_letters_of(RUN), 1, 5), partitions=3)
    assert (back.topic, back.partition) == (topics.CANDIDATES.of(RUN), 2)
    assert (back.key, back.value) == (record.key, record.value)
    assert back.headers[: len(record.headers)] == record.headers
    assert header(back.headers, "seedstream_replayed") == f"{topics.CANDIDATES.dead_letters_of(RUN)}/1/5"
    assert not facts_of(back)


def test_attempts_are_counted_up_and_the_first_failure_is_kept() -> None:
    letter = first = letter_of(poison(3))
    for attempts in ("2", "3", "4"):
        back = put_back(lying(letter, letter.topic), partitions=1)
        letter = dead_letter(lying(back), REASON, "admit")
        assert facts_of(letter)["attempts"] == attempts
        assert facts_of(letter)["first_failure_ts"] == facts_of(first)["first_failure_ts"]
        assert len(letter.headers) == len(first.headers) + 3


@pytest.mark.parametrize("number", [b"", b"-1", b"3", b"one", b"9" * 40, "\N{ARABIC-INDIC DIGIT ONE}".encode(), None])
def test_without_a_valid_partition_the_key_decides(number: bytes | None) -> None:
    headers = ((PREFIX + "partition", number), (PREFIX + "attempts", number))
    letter = NewRecord(topics.CANDIDATES.dead_letters_of(RUN), b"{}", b"p1", headers)
    assert put_back(lying(letter, letter.topic), partitions=3).partition is None
    assert DeadLetter.of(lying(letter, letter.topic)).attempts == (3 if number == b"3" else 0)


def test_a_dead_letter_without_headers_can_be_read() -> None:
    letter = DeadLetter.of(lying(NewRecord(topics.PROMPTS.dead_letters_of(RUN), None), topics.PROMPTS.of(RUN) + ".dlq"))
    assert (letter.topic, letter.id, letter.origin, letter.attempts) == ("prompts", "", None, 0)
    assert letter.reason == "no reason given"


async def test_a_replay_returns_records_to_their_partitions(open_broker: OpenBroker) -> None:
    record = replace(codec.encode(examples.prompt(0), RUN), value=b"?")
    stray = replace(record, topic=topics.PROMPTS.dead_letters_of(RUN), key=b"by hand")
    letters = [dead_letter(lying(record, record.topic, number, 9), REASON, "generate") for number in (2, 0, 1)]
    async with run_with(open_broker, *letters, stray, letter_of(poison(1)), partitions=3) as broker:
        tally = await DeadLetterReplay(broker, RUN).run()
        assert (tally.put_back, tally.remaining) == ({"prompts": 4, "candidates": 1}, {})
        back = await records_of(broker, topics.PROMPTS.of(RUN))
        assert sorted(each.partition.number for each in back if each.key == b"p0") == [0, 1, 2]
        assert {each.value for each in back} == {b"?"}
        assert sorted(each.key or b"" for each in back) == [b"by hand", b"p0", b"p0", b"p0"]
        again = await DeadLetterReplay(broker, RUN).run()
        assert again.topics == []
        assert len(await records_of(broker, topics.PROMPTS.of(RUN))) == 4


async def test_a_replay_may_be_limited_by_topic_and_number(open_broker: OpenBroker) -> None:
    work = replace(codec.encode(examples.instruction("p0.0"), RUN), topic=topics.INSTRUCTIONS.dead_letters_of(RUN))
    letters = [letter_of(poison(seq), offset=seq) for seq in range(5)]
    async with run_with(open_broker, work, *letters) as broker:
        some = await DeadLetterReplay(broker, RUN, [topics.CANDIDATES]).run(2)
        assert (some.put_back, some.remaining) == ({"candidates": 2}, {"candidates": 3})
        waiting = await DeadLetterReplay(broker, RUN).waiting()
        assert sorted(letter.id for letter in waiting) == ["p0.0", "p2", "p3", "p4"]
        rest = await DeadLetterReplay(broker, RUN, [topics.CANDIDATES]).run()
        assert (rest.put_back, rest.remaining) == ({"candidates": 3}, {})
        assert await records_of(broker, topics.INSTRUCTIONS.of(RUN)) == []
        assert [each.key for each in await records_of(broker, topics.CANDIDATES.of(RUN))] == [
            f"p{seq}".encode() for seq in range(5)
        ]


@pytest.mark.parametrize("breakage", [Breakage.BEFORE, Breakage.AFTER])
async def test_an_interrupted_replay_resumes_and_repeats_nothing(
    open_broker: OpenBroker, breakage: Breakage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_BATCH", 3)
    async with run_with(open_broker, *(letter_of(poison(seq), offset=seq) for seq in range(10))) as broker:
        with pytest.raises(BrokerError):
            await DeadLetterReplay(BreakingBroker(broker, breakage, commits_left=1), RUN).run()
    done = 3 if breakage is Breakage.BEFORE else 6
    async with open_broker() as broker:
        assert len(await records_of(broker, topics.CANDIDATES.of(RUN))) == done
        tally = await DeadLetterReplay(broker, RUN).run()
        assert tally.put_back.total() == 10 - done
        back = await records_of(broker, topics.CANDIDATES.of(RUN))
        assert [each.key for each in back] == [f"p{seq}".encode() for seq in range(10)]


async def test_a_dead_letter_that_was_written_twice_is_replayed_once(open_broker: OpenBroker) -> None:
    """A stage that was killed before its commit reads its poison again."""
    twice = letter_of(poison(0), offset=4)
    async with run_with(open_broker, twice, letter_of(poison(1), offset=5), twice) as broker:
        assert [letter.id for letter in await DeadLetterReplay(broker, RUN).waiting()] == ["p0", "p1"]
        assert (await DeadLetterReplay(broker, RUN).run(1)).remaining == {"candidates": 1}
        assert (await DeadLetterReplay(broker, RUN).run()).put_back == {"candidates": 1}
        assert len(await records_of(broker, topics.CANDIDATES.of(RUN))) == 2
        assert (await progress_of(broker)).dead_letters == {}
        await write(broker, twice)
        assert (await DeadLetterReplay(broker, RUN).run()).topics == []
        assert len(await records_of(broker, topics.CANDIDATES.of(RUN))) == 2


async def test_a_record_that_stays_unreadable_counts_its_attempts(open_broker: OpenBroker) -> None:
    async with run_with(open_broker, poison(0)) as broker:
        await send(broker, examples.prompt(0))
        for attempts in (1, 2, 3):
            await work_off(TransactionalWorker(Admit(SELF_INSTRUCT), broker, RUN))
            assert facts_of((await dead_letters(broker, topics.CANDIDATES))[-1])["attempts"] == str(attempts)
            progress = await progress_of(broker)
            assert (progress.dead_letters, progress.stuck_prompts, progress.outstanding) == ({"candidates": 1}, 1, 0)
            await DeadLetterReplay(broker, RUN).run()
            progress = await progress_of(broker)
            assert (progress.dead_letters, progress.stuck_prompts, progress.outstanding) == ({}, 0, 1)


async def test_a_replayed_answer_is_decided_and_counted_once(open_broker: OpenBroker) -> None:
    """The first record is readable now as well, and its call was paid for once."""
    answer = codec.encode(examples.answer(0, "Name three rivers that flow through Europe"), RUN)
    async with run_with(open_broker, answer, letter_of(answer)) as broker:
        await send(broker, examples.prompt(0))
        await DeadLetterReplay(broker, RUN).run()
        assert len(await records_of(broker, topics.CANDIDATES.of(RUN))) == 2
        await work_off(TransactionalWorker(Admit(SELF_INSTRUCT), broker, RUN))
        decisions: list[Decision] = await read(broker, topics.DECISIONS)
        assert [decision.prompt_id for decision in decisions] == ["p0"]
        progress = await progress_of(broker)
        assert (progress.spent["generate"].calls, progress.paid_twice) == (1, 0)
        assert (progress.outstanding, progress.decided, progress.pending) == (0, 1, 1)


def test_every_topic_that_a_stage_reads_has_dead_letters() -> None:
    assert [topic.of(RUN) for topic in DEAD_LETTER_TOPICS] == [topic.dead_letters_of(RUN) for topic in STAGE_INPUTS]


def stranger(*, key: bytes | None = b"stranger", value: bytes | None = b"x", headers: Headers = ()) -> Record:
    """Return a record of another program; its limits are not ours."""
    return Record(Partition(topics.PROMPTS.of(RUN), 1), 7, key, value, headers, 0)


HUGE = b"x" * (3 * MAX_RECORD_BYTES)
SMALL_HEADERS = (("ce_type", b"something.else"), ("empty", None))


@pytest.mark.parametrize(
    ("record", "left_out"),
    [
        (stranger(value=HUGE, headers=SMALL_HEADERS), "value (3145728 bytes)"),
        (stranger(key=HUGE, headers=SMALL_HEADERS), "key (3145728 bytes)"),
        (stranger(key=HUGE, value=HUGE), "key (3145728 bytes), value (3145728 bytes)"),
        (stranger(headers=(("huge", HUGE), *SMALL_HEADERS)), "1 headers"),
        (stranger(headers=(("é" * MAX_RECORD_BYTES, b""),)), "1 headers"),
        (stranger(headers=(("", None),) * 400_000), "headers"),
    ],
)
def test_a_dead_letter_of_any_record_fits_its_topic(record: Record, left_out: str) -> None:
    letter = dead_letter(record, DecodeError("é" * 10_000), "generate")
    checked_size(letter, MAX_RECORD_BYTES)
    facts = facts_of(letter)
    assert facts["left_out"].endswith(left_out)
    assert [facts[name] for name in ("topic", "partition", "offset")] == [topics.PROMPTS.of(RUN), "1", "7"]
    for name, part in (("key", record.key), ("value", record.value)):
        if part is HUGE:
            assert (facts[f"{name}.bytes"], facts[f"{name}.sha256"]) == (str(len(HUGE)), sha256(HUGE).hexdigest())
        else:
            assert getattr(letter, name) == part
    kept = [each for each in record.headers if len(each[0]) + len(each[1] or b"") < MAX_RECORD_BYTES]
    assert list(letter.headers[: len(kept)])[:2] == kept[:2]
    read = DeadLetter.of(lying(letter, letter.topic), put_back=True)
    assert (read.put_back, read.stays is None, left_out in (read.stays or "")) == (False, False, True)


async def test_a_replay_passes_over_what_it_cannot_put_back(open_broker: OpenBroker) -> None:
    """One dead letter lacks a part of its record. The other fits, but a copy with more headers would not."""
    lacking = dead_letter(stranger(value=HUGE), REASON, "generate")
    near = replace(poison(0), value=b"", headers=())
    near = replace(near, value=b"x" * (MAX_RECORD_BYTES - len(near.key or b"")))
    async with run_with(open_broker, lacking, letter_of(poison(1)), letter_of(near, offset=1), partitions=1) as broker:
        for put in (1, 0):
            letters = {letter.topic: letter for letter in await DeadLetterReplay(broker, RUN).waiting() if letter.stays}
            assert letters.keys() == {"prompts", "candidates"}
            tally = await DeadLetterReplay(broker, RUN).run()
            assert (tally.put_back.total(), tally.remaining.total()) == (put, 0)
            assert tally.staying == {"prompts": 1, "candidates": 1}
            assert (await progress_of(broker)).dead_letters == {"prompts": 1, "candidates": 1}
        await write(broker, letter_of(poison(2), offset=2))
        assert (await DeadLetterReplay(broker, RUN).run()).put_back == {"candidates": 1}
        assert (await progress_of(broker)).dead_letters == {"prompts": 1, "candidates": 1}
        assert [each.key for each in await records_of(broker, topics.CANDIDATES.of(RUN))] == [b"p1", b"p2"]


async def test_expired_offsets_put_no_dead_letter_back_again(open_broker: OpenBroker, tmp_path: Path) -> None:
    async with run_with(open_broker, letter_of(poison(0)), letter_of(poison(1), offset=1)) as broker:
        assert (await DeadLetterReplay(broker, RUN).run()).put_back == {"candidates": 2}
    await forget_offsets(tmp_path)
    async with open_broker() as broker:
        assert await DeadLetterReplay(broker, RUN).waiting() == []
        assert (await DeadLetterReplay(broker, RUN).run()).topics == []
        assert (await progress_of(broker)).dead_letters == {}
        assert len(await records_of(broker, topics.CANDIDATES.of(RUN))) == 2


async def test_a_replay_by_an_earlier_version_still_counts(open_broker: OpenBroker) -> None:
    async with run_with(open_broker, letter_of(poison(0)), letter_of(poison(1), offset=1)) as broker:
        letters = Partition(topics.CANDIDATES.dead_letters_of(RUN), 0)
        async with broker.transactional_producer(replay_group(RUN)) as producer:
            await producer.begin()
            await producer.send_offsets(replay_group(RUN), {letters: Committed(1)})
            await producer.commit()
        assert [letter.id for letter in await DeadLetterReplay(broker, RUN).waiting()] == ["p1"]
        assert (await progress_of(broker)).dead_letters == {"candidates": 1}


async def test_a_dead_letter_that_was_written_twice_counts_once(open_broker: OpenBroker) -> None:
    twice = letter_of(poison(0), offset=4)
    async with run_with(open_broker, twice, twice, letter_of(poison(1), offset=5)) as broker:
        assert (await progress_of(broker)).dead_letters == {"candidates": 2}
