"""Makes one call of each step as a run would, for `seedstream check`."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from producers.prompts import write_prompt
from producers.sampling_pool import SamplingPool
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
from service.selfinstruct.steps import Step
from service.selfinstruct.tasks import Reason, SeedTask

# A reply that conforms to the schema cannot do what this prompt asks.
_PROSE = ModelInput(
    "Write one short sentence about a river. Do not use JSON, braces or quotation marks.", schema=CLASSIFICATION
)
_PROSE_SAMPLING = Sampling(temperature=0.0, top_p=0.0, max_tokens=64, stop=())
# Rejection reasons that mean that a candidate could not be read; other reasons are about its content.
_UNREADABLE = frozenset({Reason.TRUNCATED, Reason.MALFORMED, Reason.REFUSAL, Reason.CHATTER, Reason.EMPTY})


@dataclass(frozen=True, slots=True)
class Tried:
    """The outcome of a step: its result or the error of its call, and for the first step the candidates' verdicts."""

    step: str
    message: Message | None = None
    failure: CallFailedError | None = None
    verdicts: tuple[Verdict, ...] = ()

    @property
    def call(self) -> Call | None:
        """The step's call, or `None` if it failed."""
        found = getattr(self.message, "call", None)
        return found if isinstance(found, Call) else None

    @property
    def readable(self) -> int:
        """Number of candidates that could be read, accepted or not."""
        return sum(verdict.reason not in _UNREADABLE for verdict in self.verdicts)

    @property
    def accepted(self) -> list[str]:
        """Instructions that the filters would accept into the pool."""
        return [verdict.candidate.instruction for verdict in self.verdicts if verdict.accepted]


def first_prompt(definition: RunDefined, seeds: Sequence[SeedTask]) -> Prompt:
    """Return the first prompt of a run, `p0`, sampled from its seeds, on the topic with the largest share."""
    pool = SamplingPool()
    for place, seed in enumerate(seeds):
        pool.apply(PooledTask(pool_seq=place, id=seed.id, origin=Origin.HUMAN, instruction=seed.instruction, seed=seed))
    shares = definition.templates.run_subject.shares
    return write_prompt(definition, pool, 0, max(shares, key=shares.__getitem__, default=None))


async def try_steps(
    definition: RunDefined, seeds: Sequence[SeedTask], model_of: Callable[[Step], LanguageModel]
) -> AsyncIterator[Tried]:
    """Yield the outcome of each step: of the first prompt, then of the later steps for its first accepted task.

    If no candidate is accepted, the later steps use the first seed.

    Raises:
        EndpointRefusedError: the server refuses every call.
    """
    generate, *later = calling_stages(definition, model_of)
    prompt = first_prompt(definition, seeds)
    generated = await _tried(generate, prompt)
    if isinstance(generated.message, Answer):
        generated = replace(generated, verdicts=_judged(definition, seeds, generated.message))
    yield generated
    task: Message = _as_work(definition, (generated.accepted or [seeds[0].instruction])[0], prompt.topic)
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
    index = SimilarityIndex.of(definition.recipe.filters)
    for seed in seeds:
        index.add(seed.instruction)
    return judge(definition.recipe, answer.candidates, index)


def _as_work(definition: RunDefined, instruction: str, topic: str | None) -> Instruction:
    provenance = Provenance(
        prompt_id="p0",
        parents=(),
        depth=1,
        recipe=definition.recipe.digest,
        templates=definition.templates.digest,
        model="",
        topic=topic,
    )
    return Instruction(id="p0.0", pool_seq=0, instruction=instruction, provenance=provenance)


async def keeps_to_schema(model: LanguageModel) -> bool:
    """Return whether the server enforces a schema; some accept a schema and ignore it.

    Raises:
        CallFailedError, EndpointRefusedError: the call failed.
    """
    completion = await model.complete(_PROSE, _PROSE_SAMPLING)
    return CLASSIFICATION.fits(completion.text)
