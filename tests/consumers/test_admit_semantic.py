import json
from dataclasses import replace

import msgspec
import pytest
from msgspec import structs

from consumers.admit import Admit
from service.errors import BrokerError
from service.messaging import codec
from service.messaging.messages import CandidateVerdict, Decision, Embedding, Message, PooledTask
from service.pool.batch import Input
from service.selfinstruct.recipe import SELF_INSTRUCT, Recipe, SemanticFilter
from service.selfinstruct.tasks import Reason
from service.selfinstruct.vectors import from_text
from tests.fakes.embedders import BagOfWords
from tests.support import examples

pytestmark = pytest.mark.anyio

SEA = "Write a poem about the sea"
OCEAN = "Compose a verse on the ocean"
LAKE = "Compose a poem on the lake"
SORT = "Sort these numbers from small to large"
LETTER = "Send a letter to your mayor today"

NOTED = replace(SELF_INSTRUCT, semantic=SemanticFilter("bag-of-words"))
REFUSED = replace(SELF_INSTRUCT, semantic=SemanticFilter("bag-of-words", 0.9))


def admit_by(recipe: Recipe) -> Admit:
    return Admit(recipe, embedder=BagOfWords() if recipe.semantic is not None else None)


async def judged(admit: Admit, *batch: Input) -> list[Message]:
    """Judge a batch and restore its results after a round trip through JSON."""
    results = [message for _, message in (await admit(batch)).results]
    for message in results:
        admit.restore(msgspec.json.decode(message.to_json(), type=type(message)))
    return results


def verdicts_in(results: list[Message]) -> list[CandidateVerdict]:
    return [verdict for message in results if isinstance(message, Decision) for verdict in message.verdicts]


def pool_in(results: list[Message]) -> list[PooledTask]:
    return [message for message in results if isinstance(message, PooledTask)]


async def test_a_verdict_records_the_nearest_task_score_and_model() -> None:
    results = await judged(admit_by(NOTED), examples.seed(0, LETTER), examples.answer(1, SEA, OCEAN))
    first, second = verdicts_in(results)
    assert (second.reason, second.nearest, second.score) == (None, None, None)
    assert second.semantic is not None
    assert (second.semantic.nearest, second.semantic.model) == ("p1.0", "bag-of-words")
    assert second.semantic.score == 1.0
    assert first.semantic is not None
    assert first.semantic.nearest == "s0"


async def test_a_paraphrase_is_rejected_with_a_reason_of_its_own() -> None:
    results = await judged(admit_by(REFUSED), examples.seed(0, SEA), examples.answer(1, OCEAN, SORT))
    first, second = verdicts_in(results)
    assert first.reason is Reason.SEMANTICALLY_SIMILAR
    assert first.semantic is not None
    assert (first.semantic.nearest, first.semantic.score) == ("s0", 1.0)
    assert (first.nearest, first.score) == (None, None)
    assert second.reason is None
    assert [task.instruction for task in pool_in(results)] == [SEA, SORT]


async def test_every_task_of_the_pool_brings_its_vector_seeds_too() -> None:
    for task in pool_in(await judged(admit_by(NOTED), examples.seed(0, SEA), examples.answer(1, SORT))):
        assert task.embedding is not None
        assert task.embedding.model == "bag-of-words"
        (expected,) = BagOfWords().embed([task.instruction])
        assert from_text(task.embedding.vector).tolist() == expected.tolist()


@pytest.mark.parametrize("recipe", [NOTED, REFUSED])
async def test_a_restart_between_any_two_batches_changes_nothing(recipe: Recipe) -> None:
    texts = [SEA, OCEAN, SORT, LAKE, LETTER, "Sort these words from large to small"]
    batches: list[Input] = [examples.seed(0, SEA), *(examples.answer(seq, text) for seq, text in enumerate(texts))]
    steady = admit_by(recipe)
    log: list[Message] = []
    for batch in batches:
        restarted = admit_by(recipe)
        for message in log:
            restarted.restore(message)
        assert (await restarted([batch])).results == [(0, message) for message in await judged(steady, batch)]
        log += [message for _, message in (await restarted([batch])).results]
    assert (await admit_by(recipe)(batches)).results == [
        (place, message) for place, batch in enumerate(batches) for message in log if _is_of(message, batch)
    ]


def _is_of(message: Message, batch: Input) -> bool:
    return message.key.partition(".")[0] == batch.key


async def test_a_restart_embeds_nothing_again() -> None:
    log = await judged(admit_by(NOTED), examples.seed(0, SEA), examples.answer(1, SORT))
    embedder = BagOfWords()
    admit = Admit(NOTED, embedder=embedder)
    for message in log:
        admit.restore(message)
    assert embedder.asked == []


async def test_without_the_signal_records_and_verdicts_are_unchanged() -> None:
    batch: list[Input] = [examples.seed(0, SEA), examples.answer(1, OCEAN, SORT, f"{SEA}!", "Short")]
    plain, noted = await judged(admit_by(SELF_INSTRUCT), *batch), await judged(admit_by(NOTED), *batch)
    written = [json.loads(codec.encode(message, "x").value or b"") for message in plain]
    assert "embedding" not in json.dumps(written)
    assert "semantic" not in json.dumps(written)
    assert [(each.id, each.reason, each.nearest, each.score) for each in verdicts_in(plain)] == [
        (each.id, each.reason, each.nearest, each.score) for each in verdicts_in(noted)
    ]


@pytest.mark.parametrize(
    ("embedding", "said"),
    [
        (None, "got none"),
        (Embedding(model="other", vector=""), "got one of other"),
        (Embedding(model="bag-of-words", vector="AAAA"), "384 components, got 3"),
    ],
)
async def test_a_task_without_the_model_s_vector_is_refused_by_name(embedding: Embedding | None, said: str) -> None:
    task = structs.replace(examples.pooled_seed(0), embedding=embedding)
    with pytest.raises(BrokerError, match=f"task s0.*{said}"):
        admit_by(NOTED).restore(task)


def test_an_embedder_goes_with_a_recipe_that_compares_meanings() -> None:
    with pytest.raises(ValueError, match="embedder"):
        Admit(NOTED)
    with pytest.raises(ValueError, match="embedder"):
        Admit(SELF_INSTRUCT, embedder=BagOfWords())
