"""`candidates`, `pool` → `hints`: searches the pool ahead of the filter; any number of screens."""

from collections.abc import Sequence

from service.messaging.messages import Answer, PooledTask, ScreenedCandidates, check_next
from service.pool.hints import screen
from service.selfinstruct.recipe import Recipe
from service.selfinstruct.similarity import SimilarityIndex


class Screen:
    """Compares candidates with the committed pool, as far as this process has read it; decides nothing."""

    def __init__(self, recipe: Recipe) -> None:
        self._filters = recipe.filters
        self._index = SimilarityIndex.of(recipe.filters)

    def follow(self, task: PooledTask) -> None:
        """Add the next task of the pool.

        Raises:
            BrokerError: the pool on the log has a hole; hints on it would be wrong.
        """
        check_next(task, len(self._index))
        self._index.add(task.instruction)

    def __call__(self, answers: Sequence[Answer]) -> list[ScreenedCandidates]:
        """Return the hint on each answer. It computes for long: call it in a worker thread."""
        return [screen(self._filters, answer, self._index) for answer in answers]
