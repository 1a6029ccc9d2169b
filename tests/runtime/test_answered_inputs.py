import random

import anyio
import pytest

from consumers.generate import Generate
from service.lm.concurrency import Slots
from service.messaging import codec, topics
from service.messaging.broker import Broker, Partition
from service.runtime.answered_inputs import Answers
from service.runtime.commit_metadata import Ends
from service.runtime.stateless_worker import StatelessWorker
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.conftest import OpenBroker
from tests.fakes.models import Hold, Reply, ScriptedModel
from tests.support import examples
from tests.support.logs import DEADLINE_S, RUN, create, drained_after, follow, killed_after, read, records_of, send

pytestmark = pytest.mark.anyio

RESULTS = topics.CANDIDATES.of(RUN)


async def answered(broker: Broker, ends: Ends, source: Partition) -> set[int]:
    async with Answers.behind(broker, RESULTS, ends) as answers:
        return (await answers.now(frozenset({source})))[source]


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
            assert await answers.now(frozenset({prompt.partition})) == {prompt.partition: set()}
            async with broker.producer() as producer:
                await producer.send([codec.encode(examples.answer(0), RUN, prompt)])
            with anyio.fail_after(DEADLINE_S):
                assert await answers.next(DEADLINE_S) == [(prompt.partition, prompt.offset)]


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
            worker = StatelessWorker(Generate(model, SELF_INSTRUCT), broker, RUN, Slots(4), drain_s=0)
            async with rng.choice([killed_after, drained_after])(worker):
                new = min(rng.randrange(4), len(prompts) - len(before))
                await model.until_asked(new)
            assert {text.strip("<>") for text in model.asked}.isdisjoint(before)
    async with open_broker() as broker:
        worker = StatelessWorker(
            Generate(ScriptedModel(lambda _: "answered"), SELF_INSTRUCT), broker, RUN, Slots(4), drain_s=0
        )
        async with killed_after(worker):
            answers = await follow(broker, topics.CANDIDATES, len(prompts))
    assert sorted(message.key for message in answers) == sorted(prompt.id for prompt in prompts)
