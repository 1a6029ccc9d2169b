"""The pool during one batch of candidates: the committed tasks, and those that the batch adds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from service.errors import BrokerError
from service.messaging.messages import (
    Answer,
    CandidateVerdict,
    Decision,
    Embedding,
    FailedPrompt,
    Instruction,
    Message,
    Origin,
    PooledTask,
    Provenance,
    SemanticNeighbour,
    SubmittedSeed,
    TaskInstances,
)
from service.messaging.task_ids import TaskIds
from service.pool.hints import Hints
from service.selfinstruct.judging import Pool, Verdict, judge
from service.selfinstruct.recipe import Recipe
from service.selfinstruct.semantic import Meanings
from service.selfinstruct.similarity import Overlay
from service.selfinstruct.tasks import Candidate

if TYPE_CHECKING:
    from service.selfinstruct.vectors import Vector

Input = Answer | FailedPrompt | SubmittedSeed


@dataclass(slots=True)
class BatchPool:
    """The pool with the additions of one batch that is not committed yet. Used in a worker thread."""

    recipe: Recipe
    overlay: Overlay
    ids: TaskIds
    hints: Hints | None
    meanings: Meanings | None
    added: list[str] = field(default_factory=list)

    def take_all(self, batch: Sequence[tuple[int, Input]]) -> list[tuple[int, Message]]:
        """Return pairs (place, a message that follows from the input at that place)."""
        return [(place, result) for place, message in batch for result in self._take(message)]

    def _take(self, message: Input) -> list[Message]:
        match message:
            case SubmittedSeed():
                return [self._seed(message)]
            case FailedPrompt():
                return [self._failure(message)]
            case Answer():
                return self._answer(message)

    def _seed(self, message: SubmittedSeed) -> PooledTask:
        pool_seq = self.overlay.add(message.seed.instruction)
        self.added.append(message.id)
        if self.meanings is not None:
            self.meanings.add(message.seed.instruction)
        return PooledTask(
            pool_seq=pool_seq,
            id=message.id,
            origin=Origin.HUMAN,
            instruction=message.seed.instruction,
            seed=message.seed,
            embedding=self._embedding(pool_seq),
        )

    def _failure(self, message: FailedPrompt) -> Decision:
        return Decision(
            prompt_id=message.prompt_id,
            prompt_seq=message.prompt_seq,
            recipe=self.recipe.digest,
            failure=message.failure,
            pool_size=len(self.overlay),
            topic=message.topic,
        )

    def _answer(self, answer: Answer) -> list[Message]:
        before = len(self.overlay)
        verdicts = judge(self.recipe, answer.candidates, self._pool_for(answer), self.meanings)
        accepted = [verdict for verdict in verdicts if verdict.accepted]
        self.added += [_id(answer, verdict) for verdict in accepted]
        decision = Decision(
            prompt_id=answer.prompt_id,
            prompt_seq=answer.prompt_seq,
            recipe=self.recipe.digest,
            verdicts=tuple(self._recorded(answer, verdict) for verdict in verdicts),
            pool_size=len(self.overlay),
            topic=answer.topic,
        )
        tasks = [self._admitted(answer, verdict, before + place) for place, verdict in enumerate(accepted)]
        return [*chain.from_iterable(tasks), decision]

    def _pool_for(self, answer: Answer) -> Pool:
        return self.overlay if self.hints is None else self.hints.on(answer, self.overlay, len(self.ids))

    def _recorded(self, answer: Answer, verdict: Verdict) -> CandidateVerdict:
        return CandidateVerdict(
            id=_id(answer, verdict),
            reason=verdict.reason,
            nearest=self._id_at(verdict.nearest.position) if verdict.nearest is not None else None,
            score=verdict.nearest.score if verdict.nearest is not None else None,
            semantic=self._neighbour(verdict),
        )

    def _neighbour(self, verdict: Verdict) -> SemanticNeighbour | None:
        if verdict.neighbour is None or self.meanings is None:
            return None
        found = verdict.neighbour
        return SemanticNeighbour(nearest=self._id_at(found.position), score=found.score, model=self.meanings.model)

    def _embedding(self, pool_seq: int) -> Embedding | None:
        if self.meanings is None:
            return None
        from service.selfinstruct.vectors import as_text  # noqa: PLC0415 - numpy, for those who compare meanings alone

        return Embedding(model=self.meanings.model, vector=as_text(self.meanings.vector(pool_seq)))

    def _id_at(self, position: int) -> str:
        return self.ids[position] if position < len(self.ids) else self.added[position - len(self.ids)]

    def _admitted(self, answer: Answer, verdict: Verdict, pool_seq: int) -> tuple[Message, Message]:
        """Return the pool's new task, and the work that follows for later stages."""
        work = work_of(answer, verdict.candidate, pool_seq, self.recipe)
        pooled = PooledTask(
            pool_seq=pool_seq,
            id=work.id,
            origin=Origin.MACHINE,
            instruction=work.instruction,
            provenance=work.provenance,
            embedding=self._embedding(pool_seq),
        )
        return pooled, work


def work_of(answer: Answer, candidate: Candidate, pool_seq: int, recipe: Recipe) -> Instruction | TaskInstances:
    """Return the work that follows for later stages from an accepted candidate of an answer."""
    name, instruction, instance = f"{answer.prompt_id}.{candidate.position}", candidate.instruction, candidate.instance
    provenance = Provenance.of(answer, recipe.digest)
    if instance is None:
        return Instruction(id=name, pool_seq=pool_seq, instruction=instruction, provenance=provenance)
    return TaskInstances(
        id=name,
        pool_seq=pool_seq,
        instruction=instruction,
        provenance=provenance,
        is_classification=None,
        instances=(instance,),
    )


def _id(answer: Answer, verdict: Verdict) -> str:
    return f"{answer.prompt_id}.{verdict.candidate.position}"


def vector_of(task: PooledTask, model: str) -> "Vector":
    """Return the stored vector of a task of the pool.

    Raises:
        BrokerError: it has none of this model.
    """
    from service.selfinstruct.vectors import from_text  # noqa: PLC0415 - numpy, for those who compare meanings alone

    if task.embedding is None or task.embedding.model != model:
        has = f"one of {task.embedding.model}" if task.embedding is not None else "none"
        raise BrokerError(
            f"the recipe compares meanings: expected pool task {task.id} with a vector of {model}, got {has}; "
            "`seedstream refilter --semantic --into NAME` makes a run whose tasks have them all"
        )
    try:
        return from_text(task.embedding.vector)
    except ValueError as error:
        raise BrokerError(f"pool task {task.id}: {error}") from error
