"""The published recipes stay as they are: digests, definitions, prompts and verdicts of an earlier commit."""

import hashlib
import json
from itertools import product
from pathlib import Path

import pytest

from producers.prompts import write_prompt
from producers.sampling_pool import SamplingPool
from service.dataset.seeds import load_seeds
from service.dataset.templates import load_templates
from service.messaging.messages import Origin, PooledTask, Prompt, RunDefined
from service.selfinstruct.judging import judge
from service.selfinstruct.parsing import parse_instructions
from service.selfinstruct.recipe import Form, RecipeName, recipe_for
from service.selfinstruct.similarity import SimilarityIndex
from service.simulator.options import SimulatorOptions
from service.simulator.text.generator import write_reply
from service.simulator.text.prompt_parser import Stage

GOLDEN = json.loads(Path(__file__).with_name("golden").joinpath("published_recipes.json").read_text())
OPTIONS = SimulatorOptions(seed=3, near_duplicate_rate=0.2, blocked_word_rate=0.05, too_short_rate=0.05)
STAGES = {RecipeName.SELF_INSTRUCT: Stage.INSTRUCTIONS, RecipeName.ALPACA: Stage.ALPACA}
SEEDS = load_seeds(None)
PROMPTS = 60


def defined(name: RecipeName, form: Form, *, chat_model: bool) -> RunDefined:
    return RunDefined(
        run="golden",
        recipe=recipe_for(name, form, chat_model=chat_model),
        templates=load_templates(None, form),
        seeds="0" * 16,
        seed_count=len(SEEDS),
        random_seed=0,
        made_by="seedstream",
    )


def prompts_of(definition: RunDefined) -> list[Prompt]:
    pool = SamplingPool()
    for place, seed in enumerate(SEEDS):
        pool.apply(PooledTask(pool_seq=place, id=seed.id, origin=Origin.HUMAN, instruction=seed.instruction, seed=seed))
    return [write_prompt(definition, pool, seq) for seq in range(PROMPTS)]


def verdicts_on(definition: RunDefined, prompts: list[Prompt]) -> list[object]:
    """Return the verdicts on simulated replies; some of them hold letters outside ASCII and stray brackets."""
    recipe = definition.recipe
    index = SimilarityIndex.of(recipe.filters)
    for seed in SEEDS:
        index.add(seed.instruction)
    verdicts: list[object] = []
    for prompt in prompts:
        reply = write_reply(OPTIONS, prompt.text, None if recipe.form is Form.TEXT else STAGES[recipe.name])
        text = reply.text
        if prompt.seq % 10 == 0:
            text = text.replace("a", "ä").replace("E", "É")
        if prompt.seq % 10 == 1:
            text = text.replace("\n1", "\n1 ").replace(". ", ". (")
        for each in judge(recipe, parse_instructions(recipe, text, truncated=reply.truncated), index):
            nearest = None if each.nearest is None else [each.nearest.position, each.nearest.score]
            verdicts.append([each.candidate.instruction, each.reason, nearest])
    return verdicts


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@pytest.mark.parametrize(("name", "form", "api"), [*product(RecipeName, Form, ("chat", "completions"))])
def test_a_published_recipe_is_as_it_always_was(name: RecipeName, form: Form, api: str) -> None:
    definition = defined(name, form, chat_model=api == "chat")
    prompts = prompts_of(definition)
    assert GOLDEN[f"{name}, {form}, {api}"] == {
        "recipe": definition.recipe.digest,
        "templates": definition.templates.digest,
        "definition": sha(definition.to_json()),
        "prompts": sha(b"".join(prompt.to_json() for prompt in prompts)),
        "verdicts": sha(json.dumps(verdicts_on(definition, prompts)).encode()),
    }
