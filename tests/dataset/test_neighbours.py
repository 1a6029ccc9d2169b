from collections.abc import AsyncIterator, Sequence

import numpy as np
import orjson
import pytest
from msgspec import structs

from service.dataset.neighbours import as_neighbours
from service.errors import BrokerError
from service.messaging.messages import Message, Origin, PooledTask
from service.selfinstruct.recipe import SELF_INSTRUCT, Language
from service.selfinstruct.recipe_changes import with_language
from tests.selfinstruct import reference
from tests.support import examples

pytestmark = pytest.mark.anyio

WORDS = ("name", "three", "rivers", "of", "the", "old", "world", "and", "sing", "their", "songs", "aloud")


def pool_of(count: int) -> list[PooledTask]:
    """Return human and machine tasks, the human ones between them, that share some words."""
    texts = [" ".join(WORDS[(place * step) % len(WORDS)] for step in range(1, 3 + place % 7)) for place in range(count)]
    return [
        structs.replace(examples.pooled_seed(place), instruction=text)
        if place in (0, 1, 2, 9)
        else examples.pooled(place, text)
        for place, text in enumerate(texts)
    ]


async def stream(tasks: Sequence[Message]) -> AsyncIterator[Message]:
    for task in tasks:
        yield task


async def test_machine_tasks_have_neighbours_in_the_original_s_format() -> None:
    tasks = pool_of(40)
    shares: list[float] = []
    chunks = [chunk async for chunk in as_neighbours(stream(tasks), 1, shares.append)]
    expected = []
    for place, task in enumerate(tasks):
        if task.origin is Origin.MACHINE:
            before = [each.instruction for each in tasks[:place]]
            scores = [reference.score(task.instruction, text) for text in before]
            nearest = sorted(range(place), key=lambda other: -scores[other])[:10]
            row = {
                "id": task.id,
                "instruction": task.instruction,
                "most_similar": {before[other]: scores[other] for other in nearest},
                "avg_similarity_score": float(np.mean(scores)),
            }
            expected.append(row)
    assert [orjson.loads(line) for line in b"".join(chunks).splitlines()] == expected
    assert len(expected) == 36
    assert (shares == sorted(shares), shares[-1]) == (True, 1.0)


async def test_words_are_those_of_the_run_s_language() -> None:
    tasks = [structs.replace(examples.pooled_seed(0), instruction="列出三种茶"), examples.pooled(1, "列出五种茶")]
    for recipe, score in ((SELF_INSTRUCT, 0.0), (with_language(SELF_INSTRUCT, Language.ANY), 0.8)):
        definition = examples.definition(1, recipe)
        chunks = [chunk async for chunk in as_neighbours(stream([definition, *tasks]), 1, lambda _: None)]
        assert orjson.loads(b"".join(chunks))["most_similar"] == {"列出三种茶": pytest.approx(score)}


async def test_a_pool_without_machine_tasks_has_no_neighbours() -> None:
    for tasks in ([], pool_of(3)):
        assert b"".join([chunk async for chunk in as_neighbours(stream(tasks), 1, lambda _: None)]) == b""


async def test_a_gap_in_the_pool_is_an_error() -> None:
    tasks = pool_of(5)
    with pytest.raises(BrokerError, match="expected task 3, got 4"):
        [chunk async for chunk in as_neighbours(stream([*tasks[:3], tasks[4]]), 1, lambda _: None)]
