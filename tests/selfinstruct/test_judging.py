import random

from hypothesis import given, settings
from hypothesis import strategies as st

from service.selfinstruct.filters import refusal
from service.selfinstruct.judging import Verdict, judge
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Recipe
from service.selfinstruct.similarity import Match, SimilarityIndex
from service.selfinstruct.tasks import Candidate, Instance, Reason
from tests.selfinstruct import reference

WORDS = ["Sort", "these", "words", "by", "their", "first", "letter", "draw", "é", "now", "and", "again"]


def candidates(*instructions: str) -> list[Candidate]:
    return [Candidate(position, instruction) for position, instruction in enumerate(instructions)]


def index_of(*texts: str) -> SimilarityIndex:
    index = SimilarityIndex(SELF_INSTRUCT.filters.rouge_threshold)
    for text in texts:
        index.add(text)
    return index


def brute_force(recipe: Recipe, stream: list[Candidate], pool: list[str]) -> list[Verdict]:
    verdicts = []
    for candidate in stream:
        reason, nearest = refusal(recipe.filters, candidate), None
        if reason is None:
            nearest = reference.nearest_above(pool, candidate.instruction, recipe.filters.rouge_threshold)
            if nearest is None:
                pool.append(candidate.instruction)
            else:
                reason = Reason.TOO_SIMILAR
        verdicts.append(Verdict(candidate, reason, nearest))
    return verdicts


def test_a_candidate_is_judged_against_its_accepted_siblings() -> None:
    verdicts = judge(
        SELF_INSTRUCT,
        candidates(
            "Sort these words by length", "Draw a blue house now", "Sort these words by length.", "Tell me a story"
        ),
        index_of("Add two numbers").overlay(),
    )
    assert [verdict.reason for verdict in verdicts] == [None, Reason.BLOCKED_WORD, Reason.TOO_SIMILAR, None]
    assert verdicts[2].nearest == Match(1, 1.0)
    assert [verdict.accepted for verdict in verdicts] == [True, False, False, True]


def test_refused_siblings_do_not_count_as_neighbours() -> None:
    verdicts = judge(
        ALPACA,
        [
            Candidate(0, "Sort these words now", Instance("", "")),
            Candidate(1, "Sort these words now", Instance("", "x")),
        ],
        index_of().overlay(),
    )
    assert [verdict.reason for verdict in verdicts] == [Reason.EMPTY_OUTPUT, None]


def test_candidates_that_the_parser_refused_are_not_compared() -> None:
    refused = Candidate(0, "Sort these words now", rejection=Reason.TRUNCATED)
    assert judge(SELF_INSTRUCT, [refused], index_of("Sort these words now")) == (Verdict(refused, Reason.TRUNCATED),)


def test_the_threshold_comes_from_the_recipe() -> None:
    one, other = "Sort these four words", "Sort these four numbers"
    for threshold, reason in ((0.7, Reason.TOO_SIMILAR), (0.75, None)):
        index = SimilarityIndex(threshold)
        index.add(other)
        (verdict,) = judge(SELF_INSTRUCT.with_threshold(threshold), candidates(one), index)
        assert verdict.reason is reason


def test_replies_of_a_batch_share_an_overlay_beside_the_index() -> None:
    index = index_of("Add two numbers together")
    overlay = index.overlay()
    (first,) = judge(SELF_INSTRUCT, candidates("Sort these words by length"), overlay)
    (second,) = judge(SELF_INSTRUCT, candidates("Sort these words by length"), overlay)
    assert (first.reason, second.reason) == (None, Reason.TOO_SIMILAR)
    assert len(index) == 1
    (again,) = judge(SELF_INSTRUCT, candidates("Sort these words by length"), index.overlay())
    assert again == first


@settings(deadline=None, max_examples=60)
@given(
    seeds=st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=4),
    replies=st.lists(st.lists(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join), max_size=4), max_size=4),
)
def test_a_stream_of_replies_is_judged_like_the_loop(seeds: list[str], replies: list[list[str]]) -> None:
    overlay = index_of(*seeds).overlay()
    verdicts = [verdict for reply in replies for verdict in judge(SELF_INSTRUCT, candidates(*reply), overlay)]
    stream = [candidate for reply in replies for candidate in candidates(*reply)]
    assert verdicts == brute_force(SELF_INSTRUCT, stream, list(seeds))


def test_batches_committed_one_by_one_are_judged_like_the_loop() -> None:
    rng = random.Random(5)
    words = [f"w{number}" for number in range(12)]
    replies = [candidates(*(" ".join(rng.choices(words, k=rng.randint(3, 9))) for _ in range(8))) for _ in range(12)]
    index = SimilarityIndex(SELF_INSTRUCT.filters.rouge_threshold)
    verdicts: list[Verdict] = []
    for reply in replies:
        judged = judge(SELF_INSTRUCT, reply, index.overlay())
        for verdict in judged:
            if verdict.accepted:
                index.add(verdict.candidate.instruction)
        verdicts.extend(judged)
    assert verdicts == brute_force(SELF_INSTRUCT, [candidate for reply in replies for candidate in reply], [])
    assert {Reason.TOO_SIMILAR, Reason.TOO_SHORT, None} == {verdict.reason for verdict in verdicts}
