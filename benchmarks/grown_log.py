"""Writes the log of a run that has gone on for long: as the stages would have written it, only faster.

Self-Instruct, eight candidates a prompt of which two are accepted, every task classified, completed and finished. All
records name their inputs, and all groups have committed: `seedstream run` goes on at the end.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.texts import TokenStore
from consumers.finish import finished_task
from service.lm.port import FinishReason
from service.lm.usage import Usage
from service.messaging import codec, topics
from service.messaging.broker import Broker, Committed, Isolation, NewRecord, Partition, Record
from service.messaging.messages import (
    Answer,
    Call,
    CandidateVerdict,
    ClassifiedInstruction,
    Decision,
    GoalSet,
    Instruction,
    Message,
    Origin,
    PooledTask,
    Prompt,
    Provenance,
    RunDefined,
    TaskInstances,
    subject_of,
)
from service.messaging.topics import Topic
from service.run.create import define_run
from service.run.definition import AskedRun, NewRun
from service.selfinstruct.tasks import Candidate, Instance, Reason, SeedTask
from service.settings import load_settings

TARGET = 100_000_000
ACCEPTED = 2
_CANDIDATES = 8
_WRITTEN_AT_ONCE = 5_000
_SPARE_TEXTS = 5_000
_MODEL = "stub"
_GROUPS: tuple[tuple[str, Topic[Message]], ...] = (
    ("generate", topics.PROMPTS),
    ("admit", topics.CANDIDATES),
    ("classify", topics.INSTRUCTIONS),
    ("instances", topics.CLASSIFIED),
    ("finish", topics.INSTANCES),
)


@dataclass(frozen=True, slots=True)
class Written:
    """A message and its input: a topic and the number of the record there, counted from where this log begins."""

    message: Message
    cause: tuple[Topic[Message], int] | None


class History:
    """The messages of a run after its seeds have been taken in, prompt by prompt.

    `cheap` joins accepted instructions of two texts each, all different up to 25 million, instead of drawing words.
    """

    def __init__(self, definition: RunDefined, seeds: Sequence[SeedTask], *, cheap: bool = False) -> None:
        self._cheap = cheap
        self._recipe, self._templates = definition.recipe.digest, definition.templates.digest
        self._pool = len(seeds)
        self._finished = 0
        self._texts = TokenStore(random.Random("history"))  # noqa: S311 - made-up text
        self._rng = random.Random("parents")  # noqa: S311 - a choice
        self._spare = [self._texts.instruction() for _ in range(_SPARE_TEXTS)]
        self._seeds = [seed.id for seed in seeds]

    def prompt(self, seq: int) -> Iterator[Written]:
        """Yield what follows from prompt number `seq`."""
        parents = self._parents(seq)
        fresh = [self._fresh(self._pool + place) for place in range(ACCEPTED)]
        written = [*fresh, *(self._rng.choice(self._spare) for _ in range(_CANDIDATES - ACCEPTED))]
        prompt = self._asked(seq, parents)
        answer = _answer(prompt, written)
        provenance = Provenance.of(answer, self._recipe)
        yield Written(prompt, None)
        yield Written(answer, (topics.PROMPTS, seq))
        answered = (topics.CANDIDATES, seq)
        work = [
            Instruction(id=f"p{seq}.{place}", pool_seq=self._pool + place, instruction=text, provenance=provenance)
            for place, text in enumerate(fresh)
        ]
        for each in work:
            yield Written(PooledTask(**subject_of(each), origin=Origin.MACHINE), answered)
            yield Written(each, answered)
        self._pool += ACCEPTED
        yield Written(self._decision(seq), answered)
        for each in work:
            yield from self._finish(each)

    def _fresh(self, number: int) -> str:
        if not self._cheap:
            return self._texts.instruction()
        first, second = divmod(number, len(self._spare))
        return f"{self._spare[(first * 7 + second) % len(self._spare)]} {self._spare[second]}"

    def _parents(self, seq: int) -> tuple[str, ...]:
        machine = [f"p{self._rng.randrange(seq)}.{place}" for place in range(ACCEPTED)] if seq else []
        return (*self._rng.sample(self._seeds, _CANDIDATES - len(machine)), *machine)

    def _asked(self, seq: int, parents: tuple[str, ...]) -> Prompt:
        lines = "\n".join(f"{number}. {self._rng.choice(self._spare)}" for number in range(1, 9))
        return Prompt(
            id=f"p{seq}",
            seq=seq,
            text=f"Come up with a series of tasks:\n{lines}\n9.",
            demonstrations=parents,
            depth=3,
            recipe=self._recipe,
            templates=self._templates,
        )

    def _decision(self, seq: int) -> Decision:
        accepted = [CandidateVerdict(id=f"p{seq}.{place}", reason=None) for place in range(ACCEPTED)]
        refused = [
            CandidateVerdict(id=f"p{seq}.{place}", reason=Reason.TOO_SIMILAR, nearest=self._seeds[place], score=0.8)
            for place in range(ACCEPTED, _CANDIDATES)
        ]
        return Decision(
            prompt_id=f"p{seq}",
            prompt_seq=seq,
            recipe=self._recipe,
            verdicts=(*accepted, *refused),
            pool_size=self._pool,
        )

    def _finish(self, work: Instruction) -> Iterator[Written]:
        number = self._finished
        self._finished += 1
        output = f"{self._rng.choice(self._spare)} {self._rng.choice(self._spare)}"
        completed = TaskInstances(
            **subject_of(work),
            is_classification=False,
            instances=(Instance(input="", output=output),),
            call=_call(f"Output: {output}"),
        )
        classified = ClassifiedInstruction(**subject_of(work), is_classification=False, call=_call("No"))
        yield Written(classified, (topics.INSTRUCTIONS, number))
        yield Written(completed, (topics.CLASSIFIED, number))
        yield Written(finished_task(completed, number), (topics.INSTANCES, number))


def _answer(prompt: Prompt, written: Sequence[str]) -> Answer:
    reply = "\n".join(f"{number}. {text}" for number, text in enumerate(written, 9))
    candidates = tuple(Candidate(position=place, instruction=text) for place, text in enumerate(written))
    return Answer.of(prompt, _call(reply), candidates)


def _call(completion: str) -> Call:
    return Call(
        model=_MODEL,
        completion=completion,
        finish_reason=FinishReason.STOP,
        usage=Usage(700, 400),
        attempts=1,
        cost_usd=None,
    )


class _Log:
    """Batches of records with their causes, whose offsets follow from the first offset of each topic."""

    def __init__(self, run: str, first: dict[str, int]) -> None:
        self._run = run
        self._first = first
        self._partitions = {name: Partition(topic.of(run), 0) for topic in topics.ALL for name in (topic.name,)}
        self.count: Counter[str] = Counter()

    def encode(self, written: Written) -> NewRecord:
        """Return the record of a message."""
        self.count[topics.TOPIC_OF_TYPE[type(written.message)].name] += 1
        if written.cause is None:
            return codec.encode(written.message, self._run)
        topic, number = written.cause
        offset = self._first[topic.name] + number
        cause = Record(self._partitions[topic.name], offset, None, None, (), 0)
        return codec.encode(written.message, self._run, cause)


def new_run(run: str) -> NewRun:
    """Return the definition of the run, as the bundled seeds and templates make it."""
    return AskedRun(load_settings({"run": run, "lm": "simulator"})).new


async def write_log(broker: Broker, new: NewRun, tasks: int) -> int:
    """Write a run with this number of finished tasks; its topics have one partition each. Returns its prompts."""
    definition, seeds = new
    run = definition.run
    await broker.create_topics(topics.specs(run, 1))
    await define_run(broker, definition, GoalSet(run=run, target=TARGET), seeds)
    await _take_seeds_in(broker, run, seeds)
    first = {topic.name: await _end(broker, topic, run) for topic in topics.ALL}
    log, history, prompts = _Log(run, first), History(definition, seeds), tasks // ACCEPTED
    async with broker.producer() as producer:
        batch: list[NewRecord] = []
        for seq in range(prompts):
            batch += [log.encode(written) for written in history.prompt(seq)]
            if len(batch) >= _WRITTEN_AT_ONCE:
                await producer.send(batch)
                batch = []
        await producer.send(batch)
    await _commit(broker, run)
    return prompts


async def _take_seeds_in(broker: Broker, run: str, seeds: Sequence[SeedTask]) -> None:
    source = Partition(topics.CANDIDATES.of(run), 0)
    records = [
        codec.encode(
            PooledTask(pool_seq=place, id=seed.id, origin=Origin.HUMAN, instruction=seed.instruction, seed=seed),
            run,
            Record(source, place, None, None, (), 0),
        )
        for place, seed in enumerate(seeds)
    ]
    async with broker.producer() as producer:
        await producer.send(records)


async def _commit(broker: Broker, run: str) -> None:
    """Commit, for each stage, that it has processed its whole input."""
    for stage, topic in _GROUPS:
        group = f"seedstream.{run}.{stage}"
        done = {Partition(topic.of(run), 0): Committed(await _end(broker, topic, run))}
        async with broker.transactional_producer(group) as producer:
            await producer.begin()
            await producer.send_offsets(group, done)
            await producer.commit()


async def _end(broker: Broker, topic: Topic[Message], run: str) -> int:
    return await broker.end_offset(Partition(topic.of(run), 0), Isolation.READ_COMMITTED)
