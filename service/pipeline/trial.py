"""One call of each step, as a run makes them: what `seedstream check` shows before money is spent on more."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from producers.prompts import SamplingPool, write_prompt
from service.lm.errors import CallFailedError
from service.lm.port import LanguageModel
from service.messaging.messages import (
    Answer,
    Call,
    Instruction,
    Message,
    Origin,
    PooledTask,
    Prompt,
    Provenance,
    RunDefined,
)
from service.pipeline.stages import calling_stages
from service.runtime.stage import Stage
from service.selfinstruct.judging import Verdict, judge
from service.selfinstruct.model_input import CLASSIFICATION, ModelInput
from service.selfinstruct.recipe import Sampling
from service.selfinstruct.similarity import SimilarityIndex
from service.selfinstruct.tasks import Reason, SeedTask

# Whoever keeps to the schema cannot write what this asks for.
_PROSE = ModelInput(
    "Write one short sentence about a river. Do not use JSON, braces or quotation marks.", schema=CLASSIFICATION
)
_PROSE_SAMPLING = Sampling(temperature=0.0, top_p=0.0, max_tokens=64, stop=())
# Reasons that say that a candidate could not be read, other than those that say what it is.
_UNREADABLE = frozenset({Reason.TRUNCATED, Reason.MALFORMED, Reason.REFUSAL, Reason.CHATTER, Reason.EMPTY})


@dataclass(frozen=True, slots=True)
class Tried:
    """The outcome of one step: its message, or the failure of its call; candidates come with their verdicts."""

    step: str
    message: Message | None = None
    failure: CallFailedError | None = None
    verdicts: tuple[Verdict, ...] = ()

    @property
    def call(self) -> Call | None:
        """Return the call that was answered; none where it failed."""
        found = getattr(self.message, "call", None)
        return found if isinstance(found, Call) else None

    @property
    def readable(self) -> int:
        """Return how many candidates could be read, whatever the filters say of them."""
        return sum(verdict.reason not in _UNREADABLE for verdict in self.verdicts)

    @property
    def accepted(self) -> list[str]:
        """Return the instructions that would join the pool."""
        return [verdict.candidate.instruction for verdict in self.verdicts if verdict.accepted]


def first_prompt(definition: RunDefined, seeds: Sequence[SeedTask]) -> Prompt:
    """Return the first prompt of a run."""
    pool = SamplingPool()
    for place, seed in enumerate(seeds):
        pool.apply(PooledTask(pool_seq=place, id=seed.id, origin=Origin.HUMAN, instruction=seed.instruction, seed=seed))
    return write_prompt(definition, pool, 0)


async def try_steps(definition: RunDefined, seeds: Sequence[SeedTask], model: LanguageModel) -> AsyncIterator[Tried]:
    """Yield what comes of each step, one after another: a prompt, and for its first accepted task the later steps.

    Where nothing is accepted, a seed takes its place.

    Raises:
        EndpointRefusedError: the server refuses every call.
    """
    generate, *later = calling_stages(definition, model)
    generated = await _tried(generate, first_prompt(definition, seeds))
    if isinstance(generated.message, Answer):
        generated = replace(generated, verdicts=_judged(definition, seeds, generated.message))
    yield generated
    task: Message = _as_work(definition, (generated.accepted or [seeds[0].instruction])[0])
    for stage in later:
        tried = await _tried(stage, task)
        yield tried
        if tried.message is None:
            return
        task = tried.message


async def _tried(stage: Stage[Any], message: Message) -> Tried:
    try:
        results = await stage(message)
    except CallFailedError as error:
        return Tried(stage.name, failure=error)
    return Tried(stage.name, results[0])


def _judged(definition: RunDefined, seeds: Sequence[SeedTask], answer: Answer) -> tuple[Verdict, ...]:
    index = SimilarityIndex(definition.recipe.filters.rouge_threshold)
    for seed in seeds:
        index.add(seed.instruction)
    return judge(definition.recipe, answer.candidates, index)


def _as_work(definition: RunDefined, instruction: str) -> Instruction:
    provenance = Provenance(
        prompt_id="p0",
        parents=(),
        depth=1,
        recipe=definition.recipe.digest,
        templates=definition.templates.digest,
        model="",
    )
    return Instruction(id="p0.0", pool_seq=0, instruction=instruction, provenance=provenance)


async def keeps_to_schema(model: LanguageModel) -> bool:
    """Return whether the server sees to it that answers keep to a schema; some accept one and pass it over.

    Raises:
        CallFailedError, EndpointRefusedError: it does not answer.
    """
    completion = await model.complete(_PROSE, _PROSE_SAMPLING)
    return CLASSIFICATION.fits(completion.text)
