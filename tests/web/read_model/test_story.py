"""Stories of tasks and candidates, verdicts and seeds."""

import msgspec
import pytest

from service.checkpoints import NO_CHECKPOINTS
from service.messaging import topics
from service.messaging.messages import Answer, Message, Origin, PooledTask, Prompt
from service.run.lineage import gather
from service.run.progress_reader import ProgressReader
from service.web.read_model.answers import MAX_NODES, StoryState
from tests.conftest import OpenBroker
from tests.support.examples import answer, decision, definition, failed, pooled_seed, prompt
from tests.support.logs import RUN, create, read, send
from tests.web.read_model.run_log import following, write_run

pytestmark = pytest.mark.anyio


async def test_a_finished_task_has_its_whole_story(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_run(broker, 20)
        prompts = {each.id: each for each in await read(broker, topics.PROMPTS)}
        answers = {each.prompt_id: each for each in await read(broker, topics.CANDIDATES) if isinstance(each, Answer)}
        pool = {each.id: each for each in await read(broker, topics.POOL)}
        async with following(broker, None) as model:
            story = await model.story("p7.1")
            assert story is not None
            assert (story.state, story.origin, story.depth) == (StoryState.FINISHED, Origin.MACHINE, 3)
            assert story.instruction == pool["p7.1"].instruction
            assert story.prompt == prompts["p7"].text
            assert story.completion == answers["p7"].call.completion
            assert list(story.calls) == ["generate", "classify", "instances"]
            assert [each.id for each in story.siblings] == [f"p7.{place}" for place in range(8)]
            assert [each.reason for each in story.siblings] == [None] * 2 + ["too_similar"] * 6
            assert story.siblings[2].nearest_instruction == pool[story.siblings[2].nearest or ""].instruction
            parents = {edge.parent for edge in story.ancestors.edges if edge.child == "p7.1"}
            assert parents == set(prompts["p7"].demonstrations)
            assert story.nearest is not None
            assert story.nearest.score > 0
            assert len(story.nearest.own) == len(story.nearest.nearest) > 0


@pytest.mark.parametrize("name", ["p2.0", "p2.5", "p2"])
async def test_a_story_agrees_with_explain(name: str, open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_run(broker, 12)
        async with ProgressReader.open(broker, RUN, NO_CHECKPOINTS) as reader:
            await reader.catch_up()
            explained = (await gather(broker, RUN, name, reader.index, 0)).facts()
            facts = msgspec.json.decode(msgspec.json.encode(explained))
        async with following(broker, None) as model:
            story = msgspec.json.decode(msgspec.json.encode(await model.story(name)))
            same = ("id", "state", "instruction", "reason", "dropped", "is_classification", "instances", "depth")
            more = ("recipe", "templates", "topic", "failure", "calls", "failed_calls", "cost_usd", "prompt")
            assert {each: story[each] for each in same + more} == {each: facts[each] for each in same + more}
            parents = [edge["parent"] for edge in story["ancestors"]["edges"] if edge["child"] == name]
            assert parents == [each["id"] for each in facts["parents"]]


async def test_a_rejected_candidate_has_its_reason(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_run(broker, 6)
        async with following(broker, None) as model:
            story = await model.story("p1.4")
            assert story is not None
            assert (story.state, story.reason, list(story.calls)) == (
                StoryState.REJECTED,
                "too_similar",
                ["generate"],
            )
            assert story.nearest is not None
            assert (story.nearest.score, story.nearest.id) == (0.8, story.siblings[4].nearest)
            assert story.descendants.nodes == ()
            of_prompt = await model.story("p1")
            assert of_prompt is not None
            assert (of_prompt.state, of_prompt.siblings) == (StoryState.DECIDED, story.siblings)


async def test_a_seed_has_descendants(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_run(broker, 600)
        async with following(broker, None) as model:
            name = (await model.seeds(None, 1)).seeds[0].id
            story = await model.story(name)
            assert story is not None
            assert (story.state, story.origin, story.prompt_id) == (StoryState.SEED, Origin.HUMAN, None)
            assert story.instances
            assert len(story.descendants.nodes) == MAX_NODES
            assert not story.descendants.is_whole
            assert story.ancestors.nodes == ()


@pytest.mark.parametrize(
    "name", ["", "nothing", "p99", "p99.0", "p0.999", "s9", "'; DROP TABLE tasks", "p0.0\0", "\ud800"]
)
async def test_an_unknown_id_has_no_story(name: str, open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_run(broker, 4)
        async with following(broker, None) as model:
            assert await model.story(name) is None


@pytest.mark.parametrize(
    ("messages", "name", "state"),
    [
        ([prompt(0)], "p0", StoryState.OPEN),
        ([prompt(0), answer(0, "Do this")], "p0.0", StoryState.OPEN),
        ([prompt(0), failed(0), decision(0, failure="no answer")], "p0", StoryState.DECIDED),
        ([prompt(0), answer(0, "Do this"), decision(0)], "p0.0", StoryState.REJECTED),
        ([pooled_seed(0)], "s0", StoryState.SEED),
    ],
)
async def test_the_state_of_a_story(
    messages: list[Message], name: str, state: StoryState, open_broker: OpenBroker
) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, definition(0), *messages)
        async with following(broker, None) as model:
            story = await model.story(name)
            assert story is not None
            assert story.state is state


async def test_the_first_of_two_answers_counts(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, definition(0), pooled_seed(0), prompt(0), answer(0, "First"), answer(0, "Second", "Third"))
        async with following(broker, None) as model:
            story = await model.story("p0")
            assert story is not None
            assert [each.instruction for each in story.siblings] == ["First"]
            assert [(each.prompts, each.candidates) for each in (await model.seeds()).seeds] == [(1, 1)]


async def test_verdicts_come_in_pages_by_reason(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_run(broker, 8)
        async with following(broker, None) as model:
            everything = await model.decisions(None, None, 500)
            assert len(everything.verdicts) == 4 * 8
            assert everything.verdicts[0].id == "p3.7"
            assert all(each.instruction and each.decided_ms for each in everything.verdicts)
            accepted = await model.decisions("accepted", None, 5)
            rest = await model.decisions("accepted", accepted.next, 5)
            assert [each.id for each in (*accepted.verdicts, *rest.verdicts)] == [
                f"p{prompt}.{place}" for prompt in (3, 2, 1, 0) for place in (1, 0)
            ]
            assert rest.next is None
            assert (await model.decisions("too_short")).verdicts == ()


async def test_seeds_have_their_yields(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_run(broker, 40)
        prompts: list[Prompt] = await read(broker, topics.PROMPTS)
        pool: list[PooledTask] = await read(broker, topics.POOL)
        seeds = [task for task in pool if task.origin is Origin.HUMAN]
        async with following(broker, None) as model:
            first = await model.seeds(None, 100)
            second = await model.seeds(first.next, 100)
            found = (*first.seeds, *second.seeds)
            assert [each.id for each in found] == [each.id for each in seeds]
            assert (first.total, second.next) == (len(seeds), None)
            for seed in found:
                shown = sum(seed.id in each.demonstrations for each in prompts)
                assert (seed.prompts, seed.candidates, seed.accepted, seed.finished) == (
                    shown,
                    8 * shown,
                    2 * shown,
                    2 * shown,
                )
