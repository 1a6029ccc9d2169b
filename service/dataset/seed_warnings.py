"""Warnings about seed tasks, given before any call is paid for: a run is only as good as the tasks in its prompts."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from service.dataset.seed_ids import is_own_id
from service.errors import ConfigurationError
from service.selfinstruct.filters import refusal
from service.selfinstruct.recipe import Language, Recipe
from service.selfinstruct.tasks import Candidate, Reason, SeedTask

_FEW = 0.05
_HUGE_CHARACTERS = 4_000
_SHOWN = 5
_FEWEST_ALIKE = 3
_BY_LANGUAGE = {Reason.LEADING_NON_ASCII.value, Reason.TOO_SHORT.value}
_BY_WORDS = {Reason.BLOCKED_WORD.value, Reason.BLOCKED_OPENING.value}
_ENGLISH = (
    "the recipe's filters are made for English: they split words at spaces and refuse texts that do "
    "not begin with an ASCII character; `--language any` is for other languages"
)
_ASCII = (
    "`allow_non_ascii = false` in the recipe file refuses texts that do not begin with an ASCII character; "
    'without that line, `language = "any"` accepts them'
)
_WORDS = "a recipe file can unblock words and openings (`--recipe FILE.toml`)"
# A name such as getUserName, which is another one in small letters.
_MIXED_CASE = re.compile(r"[a-z][A-Z]")


def check_seeds(recipe: Recipe, seeds: Sequence[SeedTask]) -> None:
    """Raise unless the recipe's own filters would accept at least one of the seeds if a model had written it.

    Raises:
        ConfigurationError: the filters would reject all seeds, and so all model output that resembles them.
    """
    refused = _refused(recipe, seeds)
    if refused.total() == len(seeds):
        raise ConfigurationError(
            f"the recipe would refuse every one of these {len(seeds)} seed tasks if a model had written them "
            f"({_counts(refused)}), and so all that a model writes like them{_remedy(recipe, refused)}"
        )


def seed_warnings(recipe: Recipe, seeds: Sequence[SeedTask]) -> Iterator[str]:
    """Yield a line for each problem: seeds that the filters reject, empty, huge or equal outputs, repetitions."""
    refused = _refused(recipe, seeds)
    if refused.total() > _FEW * len(seeds):
        yield (
            f"{refused.total()} of {len(seeds)} seed tasks would be refused if a model had written them "
            f"({_counts(refused)}){_remedy(recipe, refused)}"
        )
    if recipe.capitalize:
        yield from _lost_case(seeds)
    renamed = [seed.id for seed in seeds if is_own_id(seed.id)]
    if renamed:
        yield f"ids like those of generated tasks have the prefix `seed_` in the run: {_listed(renamed)}"
    yield from _odd_outputs(seeds)
    twice = [words for words, count in Counter(seed.instruction for seed in seeds).items() if count > 1]
    if twice:
        yield f"{_tasks(len(twice), 'instruction')} more than once, for example {twice[0][:60]!r}"


def _remedy(recipe: Recipe, refused: Counter[str]) -> str:
    """Return what changes the verdicts on these seeds, behind a semicolon; empty if only other seeds do."""
    remedies = []
    if refused.keys() & _BY_LANGUAGE and recipe.filters.language is Language.EN:
        remedies.append(_ENGLISH)
    elif Reason.LEADING_NON_ASCII.value in refused:
        remedies.append(_ASCII)
    if refused.keys() & _BY_WORDS:
        remedies.append(_WORDS)
    return "".join(f"; {remedy}" for remedy in remedies)


def _lost_case(seeds: Sequence[SeedTask]) -> Iterator[str]:
    names = [found.string for seed in seeds if (found := _MIXED_CASE.search(seed.instruction)) is not None]
    if len(names) > _FEW * len(seeds):
        yield (
            f"{len(names)} of {len(seeds)} seed tasks have names in mixed case, and the recipe puts all that a model "
            f"writes in small letters, for example {names[0][:60]!r}; `capitalize = false` in a recipe file keeps them"
        )


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
