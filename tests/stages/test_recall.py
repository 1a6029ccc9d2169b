import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.generate import Generate
from service import codec, topics
from service.broker import Partition
from service.offsets import Tracker
from service.recall import Ends, Marks, answered, dump_ends, load_ends
from service.selfinstruct.recipe import SELF_INSTRUCT
from service.slots import Slots
from service.worker import Worker
from tests.fakes.models import Hold, Reply, ScriptedModel
from tests.stages import examples
from tests.stages.conftest import OpenBroker
from tests.stages.logs import RUN, create, drained_after, follow, killed_after, read, records_of, send

pytestmark = pytest.mark.anyio


@dataclass
class Log:
    """What outlives a crash: the answers in two partitions of results, and what was committed beside which note."""

    answers: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    committed: tuple[int, str] = (0, "")

    @property
    def ends(self) -> Ends:
        return tuple(map(len, self.answers))

    def answered_since(self, since: Ends) -> set[int]:
        return {
            offset
            for partition, start in zip(self.answers, since, strict=True)
            for place, offset in enumerate(partition)
            if place >= start
        }


class Owner:
    """One life of a worker, in the order of steps in which `service.worker` does them."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.start, note = log.committed
        since = load_ends(note, 2)
        self.already = {offset for offset in log.answered_since(since) if offset >= self.start}
        everything = {offset for offset in log.answered_since((0, 0)) if offset >= self.start}
        assert self.already == everything
        self.tracker = Tracker(self.start)
        self.marks = Marks(since, max(self.already, default=-1) + 1)
        self.position = self.start
        self.ends = log.ends
        self.running: list[int] = []

    def step(self, what: str, number: int) -> None:
        match what:
            case "take":
                self.take(self.position + 1 + number % 4)
            case "answer" if self.running:
                offset = self.running.pop(number % len(self.running))
                assert offset not in self.log.answers[0] + self.log.answers[1]
                self.log.answers[number % 2].append(offset)
                self.tracker.finish(offset)
            case "look":
                self.ends = self.log.ends
            case "commit":
                watermark = self.tracker.watermark
                self.log.committed = watermark, dump_ends(self.marks.at(watermark, self.ends))
            case _:
                pass

    def take(self, position: int) -> None:
        """Poll up to a position: every even offset has a record, the others are gaps."""
        records = [offset for offset in range(self.position, position) if offset % 2 == 0]
        self.position = position
        for offset in self.tracker.deliver(records, self.position):
            self.marks.delivered(offset, self.ends)
            if offset in self.already:
                self.tracker.finish(offset)
            else:
                self.running.append(offset)


STEPS = ("take", "take", "answer", "answer", "answer", "look", "commit", "crash")


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_whoever_takes_over_knows_all_answers_on_the_log_and_no_others(seed: int) -> None:
    rng = random.Random(seed)
    log = Log()
    owner = Owner(log)
    for _ in range(100):
        what = rng.choice(STEPS)
        if what == "crash":
            owner = Owner(log)
        else:
            owner.step(what, rng.randrange(12))
    owner.take(max([owner.position, *log.answers[0], *log.answers[1]]) + 1)
    while owner.running:
        owner.step("answer", 0)
    answers = Counter(log.answers[0] + log.answers[1])
    assert set(answers.values()) <= {1}
    assert set(answers) == set(range(0, owner.position, 2))


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=5).map(tuple))
def test_a_note_says_the_ends_it_was_made_from(ends: Ends) -> None:
    assert load_ends(dump_ends(ends), len(ends)) == ends


def test_without_a_note_everything_is_read() -> None:
    assert load_ends("", 3) == (0, 0, 0)


async def test_answers_to_other_partitions_and_other_topics_do_not_count(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=2)
        for number in range(2):
            await send(broker, examples.prompt(number), examples.prompt(number + 2), partition=number)
        prompts = await records_of(broker, topics.PROMPTS.of(RUN))
        causes = [next(each for each in prompts if each.partition.number == number) for number in range(2)]
        async with broker.producer() as producer:
            await producer.send([codec.encode(examples.answer(1), RUN, causes[1])])
            await producer.send([codec.encode(examples.seed(1), RUN)])
        results = topics.CANDIDATES.of(RUN)
        assert await answered(broker, results, (0,), causes[0].partition) == set()
        assert await answered(broker, results, (0,), causes[1].partition) == {causes[1].offset}
        assert await answered(broker, results, (1,), causes[1].partition) == set()
        elsewhere = Partition(topics.CLASSIFIED.of(RUN), 1)
        assert await answered(broker, results, (0,), elsewhere) == set()


@pytest.mark.parametrize("seed", range(2))
async def test_no_prompt_is_asked_again_whose_answer_is_on_the_log_however_often_it_crashes(
    open_broker: OpenBroker, seed: int
) -> None:
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
            worker = Worker(Generate(model, SELF_INSTRUCT), broker, RUN, Slots(4), drain_s=0)
            async with rng.choice([killed_after, drained_after])(worker):
                new = min(rng.randrange(4), len(prompts) - len(before))
                await model.until_asked(new)
            assert {text.strip("<>") for text in model.asked}.isdisjoint(before)
    async with open_broker() as broker:
        worker = Worker(Generate(ScriptedModel(lambda _: "answered"), SELF_INSTRUCT), broker, RUN, Slots(4), drain_s=0)
        async with killed_after(worker):
            answers = await follow(broker, topics.CANDIDATES, len(prompts))
    assert sorted(message.key for message in answers) == sorted(prompt.id for prompt in prompts)
