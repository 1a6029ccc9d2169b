"""`candidates` → `pool`, `decisions`, `instructions` (Alpaca: `instances`): the filter, one writer, exactly once."""

from collections.abc import Iterator, Sequence
from dataclasses import fields

from anyio import to_thread

from service.checkpoints import Fold, State
from service.containers import DenseSet
from service.errors import RecordsGoneError
from service.messaging import topics
from service.messaging.messages import (
    Answer,
    DecidedPrompt,
    Decision,
    Message,
    Origin,
    PooledTask,
    PooledText,
    SubmittedSeed,
    check_next,
)
from service.messaging.task_ids import TaskIds
from service.messaging.topics import Topic
from service.pool.batch import BatchPool, Input, vector_of
from service.pool.hints import Hints
from service.runtime.stage import Outcome
from service.selfinstruct.recipe import Recipe
from service.selfinstruct.semantic import Embedder, MeaningIndex
from service.selfinstruct.similarity import Encoded, SimilarityIndex


class Admit:
    """Rejects candidates that are too similar to the pool; the others join it (Self-Instruct §2.2, filtering).

    Every prompt ends in exactly one decision and every seed is taken in once; repeated records are skipped. Hints of
    screens save a part of the search and change no verdict. A recipe that compares meanings needs an `embedder`, and
    every task of the pool brings its vector.
    """

    name = "admit"
    source = topics.CANDIDATES
    fold = Fold("admit", 1)

    def __init__(self, recipe: Recipe, hints: Hints | None = None, embedder: Embedder | None = None) -> None:
        if (embedder is None) != (recipe.semantic is None):
            raise ValueError("an embedder belongs to a recipe that compares meanings, and to no other")
        self.restores = (topics.POOL_TEXTS if embedder is None else topics.POOL, topics.DECIDED)
        self._recipe = recipe
        self._meanings = None if embedder is None else MeaningIndex(embedder)
        self._hints = hints
        self._index = SimilarityIndex.of(recipe.filters)
        self._ids = TaskIds()
        self._seeds: set[str] = set()
        self._decided = DenseSet()
        self._with_decision = self._promised = 0

    @property
    def machine_tasks(self) -> int:
        """Return the number of machine tasks in the pool."""
        return len(self._ids) - len(self._seeds)

    def wants_more(self) -> bool:
        """Return True: paid candidates are always judged."""
        return True

    def restore(self, message: Message) -> None:
        """Take a task into the pool, or remember that a prompt is decided.

        Raises:
            RecordsGoneError: the pool on the log has a hole; judging against it would let duplicates in.
            BrokerError: a task lacks the vector that the recipe wants.
        """
        if isinstance(message, PooledText):
            check_next(message, len(self._ids))
            if self._meanings is not None and isinstance(message, PooledTask):
                self._meanings.vectors.add(vector_of(message, self._meanings.model))
            self._index.add(message.instruction)
            self._ids.append(message.id)
            if message.origin is Origin.HUMAN:
                self._seeds.add(message.id)
            else:
                self._with_decision = len(self._ids)
        elif isinstance(message, Decision | DecidedPrompt):
            self._decided.add(message.prompt_seq)
            self._promised = max(self._promised, message.pool_size)
            if self._hints is not None:
                self._hints.settle(message.prompt_seq)

    def snapshot(self) -> State:
        """Return the pool and the prompts that are decided."""
        values = {
            "others": list(self._ids.others),
            "seeds": list(self._seeds),
            "with_decision": self._with_decision,
            "promised": self._promised,
        }
        index = self._index.encoded()
        arrays = {
            **self._decided.snapshot("decided"),
            **{f"index.{each.name}": [getattr(index, each.name)] for each in fields(index)},
            "ids": [self._ids.snapshot()],
            "vectors": [] if self._meanings is None else self._meanings.vectors.snapshot(),
        }
        return State(values, arrays)

    def resume(self, state: State) -> None:
        """Take what `snapshot` returned."""
        values, arrays = state.values, state.arrays
        (ids,), (vectors,) = arrays["ids"], arrays["vectors"]
        self._ids.restore(ids, values["others"])
        self._seeds.update(values["seeds"])
        self._decided.restore("decided", arrays)
        self._with_decision, self._promised = values["with_decision"], values["promised"]
        self._index.load(Encoded(*(arrays[f"index.{each.name}"][0] for each in fields(Encoded))))
        if self._meanings is not None:
            self._meanings.vectors.restore(vectors)
        if self._hints is not None:
            self._hints.resume("decided", arrays)

    def check_restored(self) -> None:
        """Raise unless pool and decisions fit each other: each decision says how large the pool was behind it.

        Raises:
            RecordsGoneError: tasks or decisions are missing.
        """
        if len(self._ids) < self._promised:
            raise _gone(topics.POOL, f"{self._promised} tasks as the decisions say, got {len(self._ids)}")
        if self._with_decision > self._promised:
            raise _gone(topics.DECISIONS, f"those of {self._with_decision} tasks, got those of {self._promised}")

    async def __call__(self, batch: Sequence[Input]) -> Outcome:
        """Return what follows from a batch of answers, failures and seeds, judged in their order."""
        meanings = None if self._meanings is None else self._meanings.overlay()
        batch_pool = BatchPool(self._recipe, self._index.overlay(), self._ids, self._hints, meanings)
        fresh = list(self._fresh(batch))
        results = await to_thread.run_sync(batch_pool.take_all, fresh)
        taken = {place for place, _ in fresh}
        repeated = sum(isinstance(each, Answer) and place not in taken for place, each in enumerate(batch))
        return Outcome(results, len(batch), repeated)

    def _fresh(self, batch: Sequence[Input]) -> Iterator[tuple[int, Input]]:
        """Yield (place, message) of the messages without a result on the log, once each."""
        seen: set[str | int] = set()
        for place, message in enumerate(batch):
            name: str | int = message.id if isinstance(message, SubmittedSeed) else message.prompt_seq
            if name not in seen and name not in self._seeds and name not in self._decided:
                seen.add(name)
                yield place, message


def _gone(topic: Topic[Message], expected: str) -> RecordsGoneError:
    return RecordsGoneError(
        f"{topic.name}: expected {expected}: the others are gone. Restore the topic from a backup, or begin another run"
    )
