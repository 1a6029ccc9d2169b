"""`candidates` → `pool`, `decisions`, `instructions` (Alpaca: `instances`): the filter, one writer, exactly once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from anyio import to_thread

from service import topics
from service.denseset import DenseSet
from service.errors import BrokerError
from service.messages import (
    Answer,
    CandidateVerdict,
    Decision,
    FailedPrompt,
    Instruction,
    Message,
    Origin,
    PooledTask,
    Provenance,
    SubmittedSeed,
    TaskInstances,
)
from service.selfinstruct.judging import Verdict, judge
from service.selfinstruct.recipe import Recipe
from service.selfinstruct.similarity import Overlay, SimilarityIndex
from service.stage import Outcome

Input = Answer | FailedPrompt | SubmittedSeed


class Admit:
    """What is too similar to the pool is thrown away, the rest joins it (Self-Instruct §2.2, filtering).

    Every prompt ends in exactly one decision, every seed is taken in once; what comes again is passed over.
    """

    name = "admit"
    source = topics.CANDIDATES
    restores = (topics.POOL, topics.DECISIONS)

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._index = SimilarityIndex()
        self._ids: list[str] = []
        self._seeds: set[str] = set()
        self._decided = DenseSet()

    def wants_more(self) -> bool:
        """Return True: what has been paid for is always judged."""
        return True

    def restore(self, message: Message) -> None:
        """Take a task into the pool, or remember that a prompt is decided.

        Raises:
            BrokerError: the pool on the log has a hole; judging against it would let duplicates in.
        """
        if isinstance(message, PooledTask):
            if message.pool_seq != len(self._ids):
                raise BrokerError(f"the pool has a hole: expected task {len(self._ids)}, got {message.pool_seq}")
            self._index.add(message.instruction)
            self._ids.append(message.id)
            if message.origin is Origin.HUMAN:
                self._seeds.add(message.id)
        elif isinstance(message, Decision):
            self._decided.add(message.prompt_seq)

    async def __call__(self, batch: Sequence[Input]) -> Outcome:
        """Return what follows from a batch of answers, failures and seeds, judged in their order."""
        batch_pool = _BatchPool(self._recipe, self._index.overlay(), self._ids)
        fresh = list(self._fresh(batch))
        results = await to_thread.run_sync(batch_pool.take_all, fresh)
        taken = {place for place, _ in fresh}
        repeated = sum(isinstance(each, Answer) and place not in taken for place, each in enumerate(batch))
        return Outcome(results, len(batch), repeated)

    def _fresh(self, batch: Sequence[Input]) -> Iterator[tuple[int, Input]]:
        """Yield (place, message) of what the log has no result for, once each."""
        seen: set[str | int] = set()
        for place, message in enumerate(batch):
            name: str | int = message.id if isinstance(message, SubmittedSeed) else message.prompt_seq
            if name not in seen and name not in self._seeds and name not in self._decided:
                seen.add(name)
                yield place, message


@dataclass(slots=True)
class _BatchPool:
    """The pool and what one batch would add to it, until that has been committed. Used in a worker thread."""

    recipe: Recipe
    overlay: Overlay
    ids: Sequence[str]
    added: list[str] = field(default_factory=list)

    def take_all(self, batch: Sequence[tuple[int, Input]]) -> list[tuple[int, Message]]:
        """Return pairs of (place, what follows from the message at that place)."""
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
        return PooledTask(
            pool_seq=pool_seq,
            id=message.id,
            origin=Origin.HUMAN,
            instruction=message.seed.instruction,
            seed=message.seed,
        )

    def _failure(self, message: FailedPrompt) -> Decision:
        return Decision(
            prompt_id=message.prompt_id,
            prompt_seq=message.prompt_seq,
            recipe=self.recipe.digest,
            failure=message.failure,
            pool_size=len(self.overlay),
        )

    def _answer(self, answer: Answer) -> list[Message]:
        before = len(self.overlay)
        verdicts = judge(self.recipe, answer.candidates, self.overlay)
        accepted = [verdict for verdict in verdicts if verdict.accepted]
        self.added += [_id(answer, verdict) for verdict in accepted]
        decision = Decision(
            prompt_id=answer.prompt_id,
            prompt_seq=answer.prompt_seq,
            recipe=self.recipe.digest,
            verdicts=tuple(self._recorded(answer, verdict) for verdict in verdicts),
            pool_size=len(self.overlay),
        )
        tasks = [self._admitted(answer, verdict, before + place) for place, verdict in enumerate(accepted)]
        return [*chain.from_iterable(tasks), decision]

    def _recorded(self, answer: Answer, verdict: Verdict) -> CandidateVerdict:
        return CandidateVerdict(
            id=_id(answer, verdict),
            reason=verdict.reason,
            nearest=self._id_at(verdict.nearest.position) if verdict.nearest is not None else None,
            score=verdict.nearest.score if verdict.nearest is not None else None,
        )

    def _id_at(self, position: int) -> str:
        return self.ids[position] if position < len(self.ids) else self.added[position - len(self.ids)]

    def _admitted(self, answer: Answer, verdict: Verdict, pool_seq: int) -> tuple[Message, Message]:
        """Return the pool's new task, and the work that is left to do for it."""
        instruction = verdict.candidate.instruction
        name = _id(answer, verdict)
        provenance = Provenance(
            prompt_id=answer.prompt_id,
            parents=answer.demonstrations,
            depth=answer.depth,
            recipe=self.recipe.digest,
            templates=answer.templates,
            model=answer.call.model,
        )
        pooled = PooledTask(
            pool_seq=pool_seq, id=name, origin=Origin.MACHINE, instruction=instruction, provenance=provenance
        )
        instance = verdict.candidate.instance
        if instance is None:
            return pooled, Instruction(id=name, pool_seq=pool_seq, instruction=instruction, provenance=provenance)
        return pooled, TaskInstances(
            id=name,
            pool_seq=pool_seq,
            instruction=instruction,
            provenance=provenance,
            is_classification=None,
            instances=(instance,),
        )


def _id(answer: Answer, verdict: Verdict) -> str:
    return f"{answer.prompt_id}.{verdict.candidate.position}"
