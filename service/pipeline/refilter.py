"""Judges a run's candidates again with another recipe, from the completions on the log; no model is called."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import anyio
from anyio import to_thread
from msgspec import structs

from consumers.admit import Admit
from service.bootstrap.open_embedder import embedder_for
from service.errors import ConfigurationError, RunNotFoundError
from service.messaging import codec, topics
from service.messaging.broker import Broker, NewRecord, Record
from service.messaging.messages import (
    Answer,
    ClassifiedInstruction,
    FailedPrompt,
    GoalSet,
    Instruction,
    Message,
    RunDefined,
    SubmittedSeed,
    TaskInstances,
)
from service.messaging.topic_reader import Tail
from service.messaging.topics import Topic
from service.pipeline.copied_offsets import commit_beginnings
from service.pool.batch import Input
from service.run.create import define_run
from service.run.goals import check_untouched
from service.run.progress import Progress
from service.run.progress_reader import read_progress
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.parsing import parse_instructions
from service.selfinstruct.recipe import Recipe

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Curve:
    """The outcomes of a run's candidates at several thresholds, from low to high, the run's `own` among them.

    `same` is true if only the threshold changed; the verdicts at the run's own threshold are then those of the run.
    """

    own: float
    points: dict[float, Progress]
    same: bool

    def change(self, threshold: float) -> int:
        """Return the difference in accepted candidates from the run's own threshold; negative if fewer are accepted."""
        return self.points[threshold].accepted - self.points[self.own].accepted


async def draw_curve(
    source: Broker, run: str, change: Callable[[Recipe], Recipe], thresholds: Sequence[float]
) -> Curve:
    """Return the verdicts of the run's recipe, after `change`, at each threshold and at the run's own.

    Raises:
        RunNotFoundError: the log has no definition of the run.
    """
    before = await recipe_of(source, run)
    recipe = change(before)
    own = recipe.filters.rouge_threshold
    wanted = sorted({own, *thresholds})
    judged = await judge_side_by_side(source, run, [recipe.with_threshold(threshold) for threshold in wanted])
    return Curve(own, dict(zip(wanted, judged, strict=True)), same=recipe == before)


async def judge_again(source: Broker, run: str, recipe: Recipe) -> Progress:
    """Return the verdicts of a recipe on a run's candidates, as counts; writes nothing."""
    return (await judge_side_by_side(source, run, [recipe]))[0]


async def judge_side_by_side(source: Broker, run: str, recipes: Sequence[Recipe]) -> list[Progress]:
    """Return the verdicts of each recipe, as counts, with a pool for each; reads the log once and writes nothing.

    Args:
        source: the broker of the run.
        run: the run whose candidates are judged.
        recipes: one or more recipes that differ in their filters only, since each answer is parsed once. Each recipe
            keeps a pool and an index in memory, as large as those of a run.
    """
    pools = [(_admit_by(recipe), Progress()) for recipe in recipes]
    async with Tail.of(source, run, [topics.CANDIDATES]) as tail:
        async for batch in _batches(tail.messages_to_end()):
            parsed = await to_thread.run_sync(_all_parsed_again, batch, recipes[0])
            for admit, progress in pools:
                outcome = await admit(parsed)
                for _, message in outcome.results:
                    admit.restore(message)
                    progress.apply(message)
    return [progress for _, progress in pools]


def _admit_by(recipe: Recipe) -> Admit:
    return Admit(recipe, embedder=embedder_for(recipe))


async def recipe_of(source: Broker, run: str) -> Recipe:
    """Return the recipe of a run.

    Raises:
        RunNotFoundError: the log has no definition of the run.
    """
    control = Progress()
    async with Tail.of(source, run, [topics.CONTROL]) as tail:
        async for message in tail.messages_to_end():
            control.apply(message)
    if control.defined is None:
        raise RunNotFoundError(f"run {run!r} was never defined; start it with `seedstream run` first")
    return control.defined.recipe


async def _batches(messages: AsyncIterator[Message]) -> AsyncIterator[list[Input]]:
    batch: list[Input] = []
    async for message in messages:
        if isinstance(message, Answer | FailedPrompt | SubmittedSeed):
            batch.append(message)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


async def refilter_into(source: Broker, run: str, target: Broker, definition: RunDefined, goal: GoalSet) -> Progress:
    """Create a run from the candidates of another, judged by the new recipe; return the new run's progress.

    The new run gets copies of all paid completions. An instruction that the old run had classified or given instances
    needs no second call, because the copied result names the new record as its cause
    (`service.runtime.answered_inputs`).

    The definition is written last, so that an interrupted copy is not a run.

    Raises:
        ConfigurationError: the new run, or part of it, exists already.
    """
    into = definition.run
    if await _is_defined(target, into):
        raise ConfigurationError(f"run {into!r} exists already; give a new name with --into")
    await check_untouched(target, into)
    copy = _Copy(source, run, target, into, definition.recipe)
    await copy.questions()
    await copy.answers(topics.CANDIDATES, topics.PROMPTS)
    drained = anyio.Event()
    drained.set()
    await TransactionalWorker(_admit_by(definition.recipe), target, into).run(drained, anyio.Event())
    await copy.answers(topics.CLASSIFIED, topics.INSTRUCTIONS)
    await copy.answers(topics.INSTANCES, topics.CLASSIFIED)
    await commit_beginnings(target, into)
    await define_run(target, definition, goal, ())
    return await read_progress(target, into)


class _Copy:
    """Copies records of a run into another run."""

    def __init__(self, source: Broker, run: str, target: Broker, into: str, recipe: Recipe) -> None:
        self._source = source
        self._run = run
        self._target = target
        self._into = into
        self._recipe = recipe

    async def questions(self) -> None:
        """Copy all prompts, under the same ids."""
        async with Tail.of(self._source, self._run, [topics.PROMPTS]) as tail:
            await send_all(
                self._target, (codec.encode(message, self._into) async for message in tail.messages_to_end())
            )

    async def answers(self, results: Topic[Message], questions: Topic[Message]) -> None:
        """Copy the results whose inputs exist in the new run, with the new record of the input as their cause."""
        causes: dict[bytes | None, tuple[Record, Message]] = {}
        async with Tail.of(self._target, self._into, [questions]) as tail:
            async for record in tail.to_end():
                causes[record.key] = record, tail.decode(record)
        async with Tail.of(self._source, self._run, [results]) as tail:
            await send_all(self._target, self._with_causes(tail.messages_to_end(), causes))

    async def _with_causes(
        self, messages: AsyncIterator[Message], causes: dict[bytes | None, tuple[Record, Message]]
    ) -> AsyncIterator[NewRecord]:
        async for message in messages:
            if isinstance(message, SubmittedSeed):
                yield codec.encode(message, self._into)
            elif (found := causes.get(message.key.encode())) is not None:
                cause, question = found
                yield codec.encode(self._adapted(message, question), self._into, cause)

    def _adapted(self, message: Message, question: Message) -> Message:
        match message:
            case Answer():
                return _parsed_again(message, self._recipe)
            case ClassifiedInstruction() | TaskInstances() if isinstance(question, Instruction | ClassifiedInstruction):
                return structs.replace(message, pool_seq=question.pool_seq, provenance=question.provenance)
            case _:
                return message


async def send_all(broker: Broker, records: AsyncIterator[NewRecord]) -> None:
    """Write records in batches, in their order."""
    async with broker.producer() as producer:
        batch: list[NewRecord] = []
        async for record in records:
            batch.append(record)
            if len(batch) == _BATCH:
                await producer.send(batch)
                batch = []
        await producer.send(batch)


def _all_parsed_again(batch: Sequence[Input], recipe: Recipe) -> list[Input]:
    return [_parsed_again(message, recipe) for message in batch]


def _parsed_again(message: Input, recipe: Recipe) -> Input:
    """Return an answer with its completion parsed again by the recipe; other messages are returned unchanged."""
    if not isinstance(message, Answer):
        return message
    candidates = parse_instructions(recipe, message.call.completion, truncated=message.call.truncated)
    return structs.replace(message, candidates=candidates)


async def _is_defined(broker: Broker, run: str) -> bool:
    async with Tail.of(broker, run, [topics.CONTROL]) as tail:
        async for _ in tail.to_end():
            return True
    return False
