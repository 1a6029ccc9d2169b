"""A run's candidates judged again, at many thresholds in one pass."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from service.adapters.sqlite import SqliteBroker
from service.adapters.sqlite.producers import SqliteProducer
from service.errors import BrokerError, ConfigurationError, RunNotFoundError
from service.messaging import topics
from service.messaging.broker import Broker, NewRecord, Partition
from service.messaging.messages import Answer, GoalSet
from service.pipeline.refilter import draw_curve, judge_again, refilter_into
from service.selfinstruct.recipe import SELF_INSTRUCT, Recipe
from service.selfinstruct.tasks import Reason
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import RUN, create, records_of, send

pytestmark = pytest.mark.anyio

STAGES = {"generate": topics.PROMPTS, "classify": topics.INSTRUCTIONS, "instances": topics.CLASSIFIED}
THRESHOLDS = (0.3, 0.45, 0.6, 0.8, 1.0)


def answers(count: int) -> list[Answer]:
    """Return answers whose candidates are near or far variants of each other. The first answer occurs twice."""
    rng = random.Random("refiltering")
    words = [f"word{number}" for number in range(60)]
    texts = [" ".join(rng.choices(words, k=12))]
    found = []
    for seq in range(count):
        for _ in range(4):
            changed = rng.random() * 0.7
            texts.append(" ".join(rng.choice(words) if rng.random() < changed else word for word in texts[-1].split()))
        reply = texts[-4] + "".join(f"\n{10 + place}. {text}" for place, text in enumerate(texts[-3:]))
        call = structs.replace(examples.CALL, completion=reply)
        found.append(structs.replace(examples.answer(seq), call=call))
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


async def test_each_point_of_a_curve_equals_refilter_at_its_threshold(
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


async def test_other_changes_of_the_recipe_apply_at_every_point(open_run: AbstractAsyncContextManager[Broker]) -> None:
    def longer_only(recipe: Recipe) -> Recipe:
        return replace(recipe, filters=replace(recipe.filters, min_words=13))

    async with open_run as broker:
        curve = await draw_curve(broker, RUN, longer_only, (0.5, 1.0))
    assert [progress.rejected for progress in curve.points.values()] == [{Reason.TOO_SHORT: 1000}] * 3


async def test_a_recipe_is_the_same_if_only_its_threshold_changes(
    open_run: AbstractAsyncContextManager[Broker],
) -> None:
    def longer_only(recipe: Recipe) -> Recipe:
        return replace(recipe, filters=replace(recipe.filters, min_words=13))

    async with open_run as broker:
        assert (await draw_curve(broker, RUN, unchanged, (0.5,))).same
        assert not (await draw_curve(broker, RUN, longer_only, (0.5,))).same


class BreaksOff(SqliteBroker):
    """A log that fails after the given number of batches."""

    batches = 0

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[SqliteProducer]:
        async with super().producer() as producer:
            yield Tiring(producer, self)


class Tiring(SqliteProducer):
    def __init__(self, producer: SqliteProducer, broker: BreaksOff) -> None:
        self._producer = producer
        self._broker = broker

    async def send(self, records: Sequence[NewRecord]) -> None:
        if self._broker.batches == 0:
            raise BrokerError("the writer is gone")
        self._broker.batches -= 1
        await self._producer.send(records)


async def test_an_incomplete_copy_is_never_taken_for_a_run(
    open_run: AbstractAsyncContextManager[Broker], tmp_path: Path
) -> None:
    definition = structs.replace(examples.definition(0), run="copy")
    goal = GoalSet(run="copy", target=5)
    batches, copied = 0, False
    async with open_run as source:
        await send(source, *(examples.prompt(seq) for seq in range(251)))
        while not copied:
            async with BreaksOff.open(tmp_path / f"{batches}.sqlite3") as target:
                await target.create_topics(topics.specs("copy", 1))
                assert isinstance(target, BreaksOff)
                target.batches = batches
                with suppress(BrokerError):
                    await refilter_into(source, RUN, target, definition, goal)
                    copied = True
                if not copied:
                    assert await records_of(target, topics.CONTROL.of("copy")) == []
                if batches > 0 and not copied:
                    with pytest.raises(ConfigurationError, match="was interrupted"):
                        await refilter_into(source, RUN, target, definition, goal)
                if copied:
                    with pytest.raises(ConfigurationError, match="exists already"):
                        await refilter_into(source, RUN, target, definition, goal)
            batches += 1
    assert batches > 4


async def test_a_copy_has_the_offsets_of_a_run_that_begins(
    open_run: AbstractAsyncContextManager[Broker], tmp_path: Path
) -> None:
    """Without them its first workers would say that Kafka has deleted them."""
    definition = structs.replace(examples.definition(0), run="copy")
    async with open_run as source, SqliteBroker.open(tmp_path / "copy.sqlite3") as target:
        await target.create_topics(topics.specs("copy", 2))
        await refilter_into(source, RUN, target, definition, GoalSet(run="copy", target=5))
        for stage, topic in STAGES.items():
            group = f"seedstream.copy.{stage}"
            found = [await target.committed(group, Partition(topic.of("copy"), number)) for number in range(2)]
            assert [each and each.offset for each in found] == [0, 0]


async def test_a_run_that_was_never_defined_has_no_curve(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        with pytest.raises(RunNotFoundError, match="never defined"):
            await draw_curve(broker, RUN, unchanged, THRESHOLDS)
