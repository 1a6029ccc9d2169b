import random

import anyio
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from consumers.generate import Generate
from service.lm.concurrency import Slots
from service.messaging import codec, topics
from service.messaging.broker import Broker, NewRecord, Partition
from service.messaging.codec import CAUSE
from service.runtime.answer_keys import AnswerKeys
from service.runtime.answered_inputs import Answers
from service.runtime.commit_metadata import Ends
from service.runtime.session import TimeLimits
from service.runtime.stateless_worker import StatelessWorker
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.conftest import OpenBroker
from tests.fakes.models import Hold, Reply, ScriptedModel
from tests.support import examples
from tests.support.logs import (
    DEADLINE_S,
    RUN,
    create,
    drained_after,
    follow,
    killed_after,
    read,
    records_of,
    send,
    until,
    write,
)

pytestmark = pytest.mark.anyio

RESULTS = topics.CANDIDATES.of(RUN)
HIDDEN = "records.hidden_by_open_transaction"


async def answered(broker: Broker, ends: Ends, source: Partition) -> set[int]:
    async with Answers.behind(broker, RESULTS, ends) as answers:
        return set((await answers.now({source: 0}))[source])


async def test_answers_to_other_partitions_and_topics_do_not_count(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=2)
        for number in range(2):
            await send(broker, examples.prompt(number), examples.prompt(number + 2), partition=number)
        prompts = await records_of(broker, topics.PROMPTS.of(RUN))
        causes = [next(each for each in prompts if each.partition.number == number) for number in range(2)]
        async with broker.producer() as producer:
            await producer.send([codec.encode(examples.answer(1), RUN, causes[1])])
            await producer.send([codec.encode(examples.seed(1), RUN)])
        assert await answered(broker, (0,), causes[0].partition) == set()
        assert await answered(broker, (0,), causes[1].partition) == {causes[1].offset}
        assert await answered(broker, (1,), causes[1].partition) == set()
        elsewhere = Partition(topics.CLASSIFIED.of(RUN), 1)
        assert await answered(broker, (0,), elsewhere) == set()


async def test_ends_beyond_the_results_hide_no_later_answer(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.prompt(0))
        (prompt,) = await records_of(broker, topics.PROMPTS.of(RUN))
        async with Answers.behind(broker, RESULTS, (99,)) as answers:
            assert await answers.now({prompt.partition: 0}) == {prompt.partition: {}}
            async with broker.producer() as producer:
                await producer.send([codec.encode(examples.answer(0), RUN, prompt)])
            with anyio.fail_after(DEADLINE_S):
                assert await answers.next(DEADLINE_S) == [(prompt.partition, prompt.offset, prompt.key)]


async def test_a_malformed_cause_is_told_once_and_read_past(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.prompt(0))
        (prompt,) = await records_of(broker, topics.PROMPTS.of(RUN))
        nonsense = [NewRecord(RESULTS, b"{}", headers=((CAUSE, text),)) for text in (b"a/x/y", b"\xff", b"a/0/-1")]
        await write(broker, *nonsense, codec.encode(examples.answer(0), RUN, prompt))
        with capture_logs() as logs:
            async with Answers.behind(broker, RESULTS, (0,)) as answers:
                assert await answers.now({prompt.partition: 0}) == {prompt.partition: {prompt.offset: (prompt.key,)}}
        assert [each["record"] for each in logs if each["event"] == "cause.unreadable"] == [f"{RESULTS}/0/0"]


async def test_only_offsets_from_the_start_on_are_remembered(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.prompt(0), examples.prompt(1))
        for seq, prompt in enumerate(await records_of(broker, topics.PROMPTS.of(RUN))):
            await write(broker, codec.encode(examples.answer(seq), RUN, prompt))
        async with Answers.behind(broker, RESULTS, (0,)) as answers:
            assert await answers.now({prompt.partition: prompt.offset}) == {
                prompt.partition: {prompt.offset: (prompt.key,)}
            }


async def test_results_behind_an_open_transaction_are_awaited(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.prompt(0))
        (prompt,) = await records_of(broker, topics.PROMPTS.of(RUN))
        found: list[dict[Partition, AnswerKeys]] = []
        with capture_logs() as logs:
            async with broker.transactional_producer("t") as open_one:
                await open_one.begin()
                await open_one.send([codec.encode(examples.seed(1), RUN)])
                await write(broker, codec.encode(examples.answer(0), RUN, prompt))
                async with Answers.behind(broker, RESULTS, (0,)) as answers, anyio.create_task_group() as tasks:

                    async def read_on() -> None:
                        found.append(await answers.now({prompt.partition: 0}, silence_s=0.0))

                    tasks.start_soon(read_on)
                    await until(broker, lambda: any(each["event"] == HIDDEN for each in logs))
                    assert found == []
                    await open_one.abort()
        assert found == [{prompt.partition: {prompt.offset: (prompt.key,)}}]


@pytest.mark.parametrize("seed", range(2))
async def test_no_answered_prompt_is_asked_again_after_any_crash(open_broker: OpenBroker, seed: int) -> None:
    rng = random.Random(seed)
    prompts = [examples.prompt(seq) for seq in range(14)]

    def script(_: str) -> Reply:
        return Hold() if rng.random() < 0.5 else "answered"

    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send(broker, *prompts)
    for _ in range(7):
        async with open_broker() as broker:
            before = {message.key for message in await read(broker, topics.CANDIDATES)}
            model = ScriptedModel(script)
            worker = StatelessWorker(Generate(model, SELF_INSTRUCT), broker, RUN, Slots(4), TimeLimits(0.0))
            async with rng.choice([killed_after, drained_after])(worker):
                new = min(rng.randrange(4), len(prompts) - len(before))
                await model.until_asked(new)
            assert {text.strip("<>") for text in model.asked}.isdisjoint(before)
    async with open_broker() as broker:
        worker = StatelessWorker(
            Generate(ScriptedModel(lambda _: "answered"), SELF_INSTRUCT), broker, RUN, Slots(4), TimeLimits(0.0)
        )
        async with killed_after(worker):
            answers = await follow(broker, topics.CANDIDATES, len(prompts))
    assert sorted(message.key for message in answers) == sorted(prompt.id for prompt in prompts)


async def test_a_recall_that_gets_on_is_not_ended_for_its_length(open_broker: OpenBroker) -> None:
    """Every poll brings something, however little time may pass without anything."""
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.prompt(0))
        (prompt,) = await records_of(broker, topics.PROMPTS.of(RUN))
        answers = [
            codec.encode(examples.answer(0), RUN, structs.replace(prompt, offset=offset)) for offset in range(2_500)
        ]
        await write(broker, *answers)
        async with Answers.behind(broker, RESULTS, (0,)) as found:
            assert len((await found.now({prompt.partition: 0}, silence_s=0.0))[prompt.partition]) == 2_500
