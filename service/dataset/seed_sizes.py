"""Size limits of seed tasks: each must fit a record of the pool, and a prompt must fit with the longest of them."""

import json
from collections.abc import Sequence

from service.errors import SeedTaskError
from service.messaging import codec
from service.messaging.messages import Embedding, Origin, PooledTask
from service.messaging.record_size import MAX_RECORD_BYTES, size_of
from service.selfinstruct.asking import ask_for_tasks
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Recipe
from service.selfinstruct.tasks import SeedTask
from service.selfinstruct.templates import Templates

# The longest values that a record of the pool may have beside the seed.
_LONGEST_NAME = "n" * 249
_EMBEDDING = Embedding(model=_LONGEST_NAME, vector="v" * 512)
_LAST_SEQ = 10**12
# Room for the rest of a prompt's record beside its texts.
_PROMPT_BYTES = 16 * 1024
# A character of a text may take six in JSON, and twice as many in JSON within JSON.
_MOST_GROWTH = 12
_SHOWN_OF_ID = 60


def check_fits_pool(seed: SeedTask, place: str) -> None:
    """Raise unless a seed task fits a record of the pool, which is larger than that of its submission.

    Raises:
        SeedTaskError: the task is too long; the message names `place`.
    """
    pooled = PooledTask(
        pool_seq=_LAST_SEQ,
        id=seed.id,
        origin=Origin.HUMAN,
        instruction=seed.instruction,
        seed=seed,
        embedding=_EMBEDDING,
    )
    size = size_of(codec.encode(pooled, _LONGEST_NAME)) + len(_LONGEST_NAME)
    if size > MAX_RECORD_BYTES:
        raise SeedTaskError(
            f"{place}: expected a task of at most {MAX_RECORD_BYTES} bytes as a record of the pool, which holds the "
            f"instruction twice; seed task {_name(seed)} takes {size}"
        )


def check_prompts_fit(recipe: Recipe, templates: Templates, seeds: Sequence[SeedTask]) -> None:
    """Raise unless a prompt fits a record even if it shows the longest seed tasks.

    Raises:
        SeedTaskError: it does not; the message names the longest task.
    """
    count = recipe.human_demonstrations + recipe.machine_demonstrations
    limit = MAX_RECORD_BYTES - _PROMPT_BYTES
    if count * max(map(_characters, seeds), default=0) * _MOST_GROWTH < limit // 2:
        return
    longest = sorted(seeds, key=lambda seed: _bytes(_asked(recipe, templates, [seed])), reverse=True)[:count]
    size = _bytes(_asked(recipe, templates, longest))
    if size > limit:
        raise SeedTaskError(
            f"expected prompts of at most {limit} bytes, and one with the {len(longest)} longest seed tasks takes "
            f"{size}; the longest is {_name(longest[0])}"
        )


def _asked(recipe: Recipe, templates: Templates, seeds: Sequence[SeedTask]) -> ModelInput:
    shown = [(seed.instruction, seed.instances[0]) for seed in seeds]
    topics = templates.run_subject.topics
    longest = max(topics, key=lambda topic: len(topic.text) + len(topic.system), default=None)
    return ask_for_tasks(recipe, templates, shown, topic=longest.name if longest is not None else None)


def _characters(seed: SeedTask) -> int:
    return len(seed.instruction) + len(seed.instances[0].input) + len(seed.instances[0].output)


def _bytes(asked: ModelInput) -> int:
    return len(json.dumps([asked.text, asked.system], ensure_ascii=False).encode("utf-8", "replace"))


def _name(seed: SeedTask) -> str:
    return repr(seed.id[:_SHOWN_OF_ID])
