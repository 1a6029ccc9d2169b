"""`candidates` → `pool`, `decisions`, `instructions` (Alpaca: `instances`): the filter, one writer, exactly once."""

from collections.abc import Iterator, Sequence

from anyio import to_thread

from service.containers import DenseSet
from service.messaging import topics
from service.messaging.messages import (
    Answer,
    Decision,
    Message,
    Origin,
    PooledTask,
    SubmittedSeed,
    check_next,
)
from service.pool.batch import Input, _BatchPool, _vector_of
from service.pool.hints import Hints
from service.runtime.stage import Outcome
from service.selfinstruct.recipe import Recipe
from service.selfinstruct.semantic import Embedder, Meanings
from service.selfinstruct.similarity import SimilarityIndex
from service.selfinstruct.vectors import VectorIndex


class Admit:
    """What is too similar to the pool is thrown away, the rest joins it (Self-Instruct §2.2, filtering).

    Every prompt ends in exactly one decision, every seed is taken in once; what comes again is passed over.
    Where there are `hints` of screens it looks at less of the pool, and comes to the same.
    Where the recipe compares meanings it needs an `embedder`, and every task of the pool brings its vector.
    """

    name = "admit"
    source = topics.CANDIDATES
    restores = (topics.POOL, topics.DECISIONS)

    def __init__(self, recipe: Recipe, hints: Hints | None = None, embedder: Embedder | None = None) -> None:
        if (embedder is None) != (recipe.semantic is None):
            raise ValueError("an embedder belongs to a recipe that compares meanings, and to no other")
        self._recipe = recipe
        self._embedder = embedder
        self._vectors = VectorIndex()
        self._hints = hints
        self._index = SimilarityIndex(recipe.filters.rouge_threshold)
        self._ids: list[str] = []
        self._seeds: set[str] = set()
        self._decided = DenseSet()

    def wants_more(self) -> bool:
        """Return True: what has been paid for is always judged."""
        return True

    def restore(self, message: Message) -> None:
        """Take a task into the pool, or remember that a prompt is decided.

        Raises:
            BrokerError: the pool on the log has a hole, or a task lacks the vector that the recipe wants; judging
                against it would let duplicates in.
        """
        if isinstance(message, PooledTask):
            check_next(message, len(self._ids))
            if self._embedder is not None:
                self._vectors.add(_vector_of(message, self._embedder.model))
            self._index.add(message.instruction)
            self._ids.append(message.id)
            if message.origin is Origin.HUMAN:
                self._seeds.add(message.id)
        elif isinstance(message, Decision):
            self._decided.add(message.prompt_seq)
            if self._hints is not None:
                self._hints.settle(message.prompt_seq)

    async def __call__(self, batch: Sequence[Input]) -> Outcome:
        """Return what follows from a batch of answers, failures and seeds, judged in their order."""
        meanings = Meanings(self._embedder, self._vectors.overlay()) if self._embedder is not None else None
        batch_pool = _BatchPool(self._recipe, self._index.overlay(), self._ids, self._hints, meanings)
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
