"""Judging a run's candidates again, at many thresholds side by side."""

import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from service.broker import Broker
from service.errors import RunNotFoundError
from service.messages import Answer
from service.refiltering import draw_curve, judge_again
from service.selfinstruct.recipe import SELF_INSTRUCT, Recipe
from service.selfinstruct.tasks import Reason
from tests.stages import examples
from tests.stages.conftest import OpenBroker
from tests.stages.logs import RUN, create, send

pytestmark = pytest.mark.anyio

THRESHOLDS = (0.3, 0.45, 0.6, 0.8, 1.0)


def answers(count: int) -> list[Answer]:
    """Return answers with candidates that are nearer or farther variants of each other, the first two the same."""
    rng = random.Random("refiltering")
    words = [f"word{number}" for number in range(60)]
    texts = [" ".join(rng.choices(words, k=12))]
    found = []
    for seq in range(count):
        for _ in range(4):
            changed = rng.random() * 0.7
            texts.append(" ".join(rng.choice(words) if rng.random() < changed else word for word in texts[-1].split()))
        reply = texts[-4] + "".join(f"\n{10 + place}. {text}" for place, text in enumerate(texts[-3:]))
        call = examples.CALL.model_copy(update={"completion": reply})
        found.append(examples.answer(seq).model_copy(update={"call": call}))
    return [found[0], *found]


@pytest.fixture
def open_run(open_broker: OpenBroker) -> AbstractAsyncContextManager[Broker]:
    """Return a run of seeds, answers (one of them twice) and a failed prompt, in more than one batch."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Broker]:
        async with open_broker() as broker:
            await create(broker)
            await send(broker, examples.definition(0))
            await send(broker, *(examples.seed(number) for number in range(8)))
            await send(broker, *answers(250), examples.failed(250))
            yield broker

    return opened()


def unchanged(recipe: Recipe) -> Recipe:
    return recipe


async def test_every_point_of_a_curve_is_what_its_threshold_alone_gives(
    open_run: AbstractAsyncContextManager[Broker],
) -> None:
    async with open_run as broker:
        curve = await draw_curve(broker, RUN, unchanged, THRESHOLDS)
        alone = {
            threshold: await judge_again(broker, RUN, SELF_INSTRUCT.with_threshold(threshold))
            for threshold in curve.points
        }
    assert curve.points == alone
    accepted = [progress.accepted for progress in curve.points.values()]
    assert (accepted == sorted(accepted), len(set(accepted))) == (True, len(THRESHOLDS) + 1)
    assert {progress.candidates for progress in alone.values()} == {1000}


async def test_the_runs_own_threshold_is_a_point_of_every_curve_once(
    open_run: AbstractAsyncContextManager[Broker],
) -> None:
    async with open_run as broker:
        without = await draw_curve(broker, RUN, unchanged, (0.9, 0.5))
        with_it = await draw_curve(broker, RUN, unchanged, (0.5, 0.7, 0.9))
    assert list(without.points) == [0.5, 0.7, 0.9]
    assert without == with_it
    assert with_it.own == 0.7
    assert with_it.change(0.7) == 0
    assert with_it.change(0.5) < 0 < with_it.change(0.9)


async def test_other_changes_of_the_recipe_hold_at_every_point(open_run: AbstractAsyncContextManager[Broker]) -> None:
    def longer_only(recipe: Recipe) -> Recipe:
        return replace(recipe, filters=replace(recipe.filters, min_words=13))

    async with open_run as broker:
        curve = await draw_curve(broker, RUN, longer_only, (0.5, 1.0))
    assert [progress.rejected for progress in curve.points.values()] == [{Reason.TOO_SHORT: 1000}] * 3


async def test_a_run_that_was_never_defined_has_no_curve(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        with pytest.raises(RunNotFoundError, match="never defined"):
            await draw_curve(broker, RUN, unchanged, THRESHOLDS)
