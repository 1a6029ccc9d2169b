"""Warnings about seed tasks, given before any call is paid for: a run is only as good as the tasks in its prompts."""

from collections import Counter
from collections.abc import Iterator, Sequence

from service.dataset.seed_ids import is_own_id
from service.errors import ConfigurationError
from service.selfinstruct.filters import refusal
from service.selfinstruct.recipe import Recipe
from service.selfinstruct.tasks import Candidate, Reason, SeedTask

_FEW = 0.05
_HUGE_CHARACTERS = 4_000
_SHOWN = 5
_FEWEST_ALIKE = 3
_BY_LANGUAGE = {Reason.LEADING_NON_ASCII.value, Reason.TOO_SHORT.value}
_ENGLISH = (
    "the recipe's filters are made for English: they split words at spaces and refuse texts that do "
    "not begin with an ASCII character"
)


def check_seeds(recipe: Recipe, seeds: Sequence[SeedTask]) -> None:
    """Raise unless the recipe's own filters would accept at least one of the seeds if a model had written it.

    Raises:
        ConfigurationError: the filters would reject all seeds, and so all model output that resembles them.
    """
    refused = _refused(recipe, seeds)
    if refused.total() == len(seeds):
        raise ConfigurationError(
            f"the recipe would refuse every one of these {len(seeds)} seed tasks if a model had written them "
            f"({_counts(refused)}), and so all that a model writes like them; {_ENGLISH}"
        )


def seed_warnings(recipe: Recipe, seeds: Sequence[SeedTask]) -> Iterator[str]:
    """Yield a line for each problem: seeds that the filters reject, empty, huge or equal outputs, repetitions."""
    refused = _refused(recipe, seeds)
    if refused.total() > _FEW * len(seeds):
        why = f": {_ENGLISH}" if refused.keys() & _BY_LANGUAGE else ""
        yield (
            f"{refused.total()} of {len(seeds)} seed tasks would be refused if a model had written them "
            f"({_counts(refused)}){why}"
        )
    renamed = [seed.id for seed in seeds if is_own_id(seed.id)]
    if renamed:
        yield f"ids like those of generated tasks have the prefix `seed_` in the run: {_listed(renamed)}"
    yield from _odd_outputs(seeds)
    twice = [words for words, count in Counter(seed.instruction for seed in seeds).items() if count > 1]
    if twice:
        yield f"{_tasks(len(twice), 'instruction')} more than once, for example {twice[0][:60]!r}"


def _odd_outputs(seeds: Sequence[SeedTask]) -> Iterator[str]:
    empty = [seed.id for seed in seeds if any(not each.output.strip() for each in seed.instances)]
    if empty:
        yield f"the model is shown an empty output as an example: {_listed(empty)}"
    huge = [
        seed.id
        for seed in seeds
        if max(len(seed.instruction) + len(each.input) + len(each.output) for each in seed.instances) > _HUGE_CHARACTERS
    ]
    if huge:
        yield f"more than {_HUGE_CHARACTERS:,} characters make each prompt that shows them expensive: {_listed(huge)}"
    outputs = Counter(seed.instances[0].output.strip() for seed in seeds)
    output, count = outputs.most_common(1)[0]
    if count >= max(_FEWEST_ALIKE, len(seeds) // 2) and output:
        yield f"{count} of {len(seeds)} seed tasks have the same output, {output[:60]!r}"


def _refused(recipe: Recipe, seeds: Sequence[SeedTask]) -> Counter[str]:
    reasons = (refusal(recipe.filters, Candidate(0, seed.instruction.strip())) for seed in seeds)
    return Counter(reason.value for reason in reasons if reason is not None)


def _counts(refused: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in refused.most_common())


def _listed(ids: Sequence[str]) -> str:
    more = len(ids) - _SHOWN
    return ", ".join(ids[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _tasks(count: int, what: str) -> str:
    return f"1 {what} stands there" if count == 1 else f"{count} {what}s stand there"
