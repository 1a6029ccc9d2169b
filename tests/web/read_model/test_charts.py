"""Series for charts, the diversity of the pool, and distances."""

from dataclasses import replace

import pytest

from service.messaging.messages import CallsDropped, FailedCall, PooledTask
from service.selfinstruct.recipe import SELF_INSTRUCT, Language
from service.selfinstruct.similarity import SimilarityIndex
from service.web.read_model.answers import MAX_KNOWN_DISTANCE, TaskFilter
from service.web.read_model.chart_answers import CostPoint, PoolPoint, RejectionPoint, SeriesName
from tests.conftest import OpenBroker
from tests.support.examples import (
    answer,
    classified,
    decision,
    definition,
    finished,
    pooled,
    pooled_seed,
    prompt,
    task_instances,
)
from tests.support.logs import create, send
from tests.web.read_model.run_log import following, write_run

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", list(SeriesName))
async def test_a_run_without_records_has_no_points(name: SeriesName, open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, definition(0))
        async with following(broker, None) as model:
            assert await model.series(name) == []


async def test_rejections_add_up_by_reason(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, definition(0), *(decision(seq, accepted=1) for seq in range(10)))
        async with following(broker, None) as model:
            points = await model.series(SeriesName.REJECTIONS, 5)
            assert all(isinstance(point, RejectionPoint) for point in points)
            counts = [point.rejected for point in points if isinstance(point, RejectionPoint)]
            assert counts == sorted(counts)
            assert (counts[-1], len(points) <= 5) == (10, True)


async def test_the_accepted_share_is_that_since_the_last(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        decisions = [decision(seq, accepted=3 if seq < 4 else 1, pool_size=100 + seq) for seq in range(8)]
        await send(broker, definition(0), *decisions)
        async with following(broker, None) as model:
            acceptance = await model.series(SeriesName.ACCEPTANCE, 2)
            assert [(point.judged, point.share) for point in acceptance] == [(16, 0.75), (24, 0.5)]  # type: ignore[union-attr]
            pool = await model.series(SeriesName.POOL, 100)
            sizes = [(point.judged, point.size) for point in pool if isinstance(point, PoolPoint)]
            assert sizes[0] == (4, 100)
            assert sizes[-1] == (24, 107)


async def test_cost_covers_every_call(open_broker: OpenBroker) -> None:
    dropped = CallsDropped(stage="generate", calls=1, spent=FailedCall(attempts=1))
    async with open_broker() as broker:
        await create(broker)
        await send(broker, definition(0), prompt(0), answer(0, "Do"), answer(0, "Do"), dropped)
        await send(broker, classified("m1", is_classification=True), task_instances("m1"), finished(0))
        async with following(broker, None) as model:
            points = await model.series(SeriesName.COST)
            last = points[-1]
            assert isinstance(last, CostPoint)
            assert (last.finished, last.cost_usd, last.unpriced) == (1, 4 * 0.5, 0)


async def test_diversity_of_a_pool(open_broker: OpenBroker) -> None:
    seed = pooled_seed(0)
    texts = ["Write a poem about rain", "Write a poem about snow", seed.instruction]
    async with open_broker() as broker:
        await create(broker)
        await send(broker, definition(1), seed, *(pooled(number + 1, text) for number, text in enumerate(texts)))
        async with following(broker, None) as model:
            found = await model.diversity()
            assert found.instructions == 3
            assert (found.first_words[0].word, found.first_words[0].count) == ("write", 2)
            assert [each.count for each in found.words] == [0, 3]
            assert found.seed_scores[0].count == 2
            assert found.seed_scores[-1].count == 1
            assert found.bigrams == 4 + 4 + len(seed.instruction.split()) - 1
            assert found.distinct_bigrams == pytest.approx((found.bigrams - 3) / found.bigrams)


async def test_a_pool_in_any_language(open_broker: OpenBroker) -> None:
    recipe = replace(SELF_INSTRUCT, filters=replace(SELF_INSTRUCT.filters, language=Language.ANY))
    async with open_broker() as broker:
        await create(broker)
        await send(broker, definition(1, recipe), pooled(0, "Напиши стихи"), pooled(1, "напиши прозу"))
        async with following(broker, None) as model:
            assert [(each.word, each.count) for each in (await model.diversity()).first_words] == [("напиши", 2)]


@pytest.mark.parametrize("order", ["pool first", "tasks first"])
async def test_a_task_has_its_distance_to_the_pool(order: str, open_broker: OpenBroker) -> None:
    texts = ["Name three rivers of Europe", "Name three rivers of Asia", "Draw a bridge over water"]
    pool: list[PooledTask] = [pooled(number, text) for number, text in enumerate(texts)]
    tasks = [finished(number) for number in range(3)]
    messages = [*pool, *tasks] if order == "pool first" else [*tasks, *pool]
    index = SimilarityIndex(0.0)
    index.add(texts[0])
    async with open_broker() as broker:
        await create(broker)
        await send(broker, definition(0), *messages)
        async with following(broker, None) as model:
            assert [row.distance for row in await model.rows(0, 10)] == [None, 1 - index.score(texts[1], 0), None]
            far = await model.tasks(TaskFilter(min_distance=MAX_KNOWN_DISTANCE))
            assert [found.task.row for found in far.tasks] == [3, 1]


async def test_points_are_limited(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_run(broker, 100)
        async with following(broker, None) as model:
            for name in SeriesName:
                assert 1 <= len(await model.series(name, 7)) <= 7
            assert len(await model.series(SeriesName.POOL, 10**9)) == 50
