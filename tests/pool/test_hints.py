"""The use of hints from screens, and the treatment of unfit, wrong and late ones."""

import pytest
from msgspec import structs

from service.messaging.messages import Answer, ScreenedCandidates, ScreenedText
from service.pool.hints import Hint, Hints, Use, WrongHint, digest_of, is_audited, scorer_of, screen
from service.selfinstruct.filters import refusal
from service.selfinstruct.judging import Pool, judge
from service.selfinstruct.recipe import SELF_INSTRUCT, Language
from service.selfinstruct.similarity import Match, SimilarityIndex
from service.telemetry.screening_metrics import hint_numbers
from tests.support import examples

FILTERS = SELF_INSTRUCT.filters
THRESHOLD = FILTERS.rouge_threshold
RIVERS = "Name three rivers that flow through Europe"
ALIKE = "Name three rivers that flow through Asia"
NEARER = "Name three rivers that flow through Africa"
LETTER = "Write a letter to the mayor of your town"
SUM = "Add all the numbers from one to ten"
UNAUDITED = next(seq for seq in range(1_000) if not is_audited(seq))
AUDITED = next(seq for seq in range(1_000) if is_audited(seq))


def index_of(*texts: str) -> SimilarityIndex:
    index = SimilarityIndex(THRESHOLD)
    for text in texts:
        index.add(text)
    return index


class Judging:
    """A pool, hints on it, and the alarms about wrong ones."""

    def __init__(self, *pool: str) -> None:
        self.index = index_of(*pool)
        self.alarms: list[WrongHint] = []
        self.hints = Hints(THRESHOLD, self.alarms.append)

    def pool_for(self, answer: Answer) -> Pool:
        return self.hints.on(answer, self.index.overlay(), len(self.index))

    def nearest(self, text: str, seq: int = UNAUDITED) -> Match | None:
        return self.pool_for(examples.answer(seq, text)).nearest(text)

    def hint(self, text: str, *pool: str, seq: int = UNAUDITED) -> ScreenedCandidates:
        """Return the hint of a screen that has seen this pool."""
        return screen(FILTERS, examples.answer(seq, text), index_of(*pool))


def says(text: str, match: Match | None, pool_seen: int, seq: int = UNAUDITED) -> ScreenedCandidates:
    """Return a hint with this match, right or wrong."""
    digest = digest_of(text)
    said = ScreenedText(digest=digest)
    if match is not None:
        said = ScreenedText(digest=digest, nearest=match.position, score=match.score)
    return ScreenedCandidates(
        prompt_id=f"p{seq}",
        prompt_seq=seq,
        pool_seen=pool_seen,
        scorer=scorer_of(THRESHOLD),
        candidates=(said,),
    )


def test_a_screen_says_what_is_nearest_in_what_it_has_seen() -> None:
    hint = screen(FILTERS, examples.answer(3, ALIKE, SUM), index_of(LETTER, RIVERS))
    assert (hint.prompt_id, hint.prompt_seq, hint.pool_seen) == ("p3", 3, 2)
    alike, different = hint.candidates
    assert (alike.nearest, alike.score) == (1, index_of(RIVERS).score(ALIKE, 0))
    assert (different.nearest, different.score) == (None, None)


def test_a_screen_passes_over_refused_and_repeated_texts() -> None:
    answer = examples.answer(0, "Too short", SUM, "Draw a picture of your own house", SUM)
    assert [each.digest for each in screen(FILTERS, answer, index_of()).candidates] == [digest_of(SUM)]
    assert refusal(FILTERS, answer.candidates[1]) is None


@pytest.mark.parametrize("seen", range(4))
@pytest.mark.parametrize("text", [ALIKE, RIVERS, SUM])
def test_with_a_hint_the_answer_is_that_of_the_whole_pool(text: str, seen: int) -> None:
    pool = (LETTER, NEARER, RIVERS)
    judging = Judging(*pool)
    judging.hints.take(judging.hint(text, *pool[:seen]))
    assert judging.nearest(text) == judging.index.nearest(text)
    assert judging.hints.tally == {Use.USED: 1}


def test_of_equals_the_first_is_named_seen_by_the_screen_or_not() -> None:
    pool = (LETTER, RIVERS, RIVERS)
    for seen in range(4):
        judging = Judging(*pool)
        judging.hints.take(judging.hint(RIVERS, *pool[:seen]))
        assert judging.nearest(RIVERS) == Match(1, 1.0)


def test_what_the_batch_has_added_is_looked_at() -> None:
    judging = Judging(LETTER)
    answer = examples.answer(UNAUDITED, RIVERS, ALIKE)
    judging.hints.take(screen(FILTERS, answer, judging.index))
    first, second = judge(SELF_INSTRUCT, answer.candidates, judging.pool_for(answer))
    assert first.accepted
    assert second.nearest == Match(1, index_of(RIVERS).score(ALIKE, 0))
    assert judging.hints.tally == {Use.USED: 2}


def test_without_a_hint_the_whole_pool_is_searched() -> None:
    judging = Judging(RIVERS)
    assert judging.nearest(RIVERS) == Match(0, 1.0)
    assert judging.hints.tally == {Use.MISSING: 1}


RIGHT = says(RIVERS, None, 1)
UNFIT = {
    "another scorer": structs.replace(RIGHT, scorer=scorer_of(0.8)),
    "words of another language": structs.replace(RIGHT, scorer=scorer_of(THRESHOLD, Language.ANY)),
    "more of the pool than there is": structs.replace(RIGHT, pool_seen=3),
    "less than nothing of the pool": structs.replace(RIGHT, pool_seen=-1),
    "another text": says(SUM, None, 1),
    "a task that it has not seen": says(RIVERS, Match(1, 1.0), 1),
    "no task before the first": says(RIVERS, Match(-1, 1.0), 1),
    "a task without a score": structs.replace(RIGHT, candidates=(ScreenedText(digest=digest_of(RIVERS), nearest=0),)),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_hint_that_does_not_fit_means_a_full_search(case: str) -> None:
    judging = Judging(LETTER, RIVERS)
    judging.hints.take(UNFIT[case])
    assert judging.nearest(RIVERS) == Match(1, 1.0)
    assert judging.hints.tally[Use.UNFIT] == 1
    assert judging.hints.tally[Use.USED] == 0
    assert judging.alarms == []
    assert judging.hints.believed


@pytest.mark.parametrize("said", [Match(0, 1.0), Match(1, 0.9), Match(0, 0.1)])
def test_a_hint_with_a_wrong_match_is_an_alarm(said: Match) -> None:
    judging = Judging(LETTER, RIVERS, SUM)
    judging.hints.take(says(RIVERS, said, 3))
    judging.hints.take(says(SUM, None, 3, UNAUDITED + 1))
    assert judging.nearest(RIVERS) == Match(1, 1.0)
    assert judging.alarms == [WrongHint(f"p{UNAUDITED}", 3, said, Match(1, 1.0))]
    assert judging.nearest(SUM, UNAUDITED + 1) == Match(2, 1.0)
    assert judging.hints.tally == {Use.WRONG: 1, Use.MISSING: 1}


def test_a_true_match_below_the_threshold_rejects_nothing() -> None:
    judging = Judging(LETTER)
    score = judging.index.score("Write to the king of another land", 0)
    assert 0.0 < score <= THRESHOLD
    judging.hints.take(says("Write to the king of another land", Match(0, score), 1))
    assert judging.nearest("Write to the king of another land") is None
    assert judging.hints.tally == {Use.WRONG: 1}


def test_an_audited_false_hint_is_an_alarm_and_ends_their_use() -> None:
    judging = Judging(RIVERS)
    judging.hints.take(says(RIVERS, None, 1, AUDITED))
    for seq in range(AUDITED + 1, AUDITED + 4):
        judging.hints.take(says(RIVERS, None, 1, seq))
    assert judging.nearest(RIVERS, AUDITED) == Match(0, 1.0)
    assert judging.alarms == [WrongHint(f"p{AUDITED}", 1, None, Match(0, 1.0))]
    assert not judging.hints.believed
    judging.hints.take(says(RIVERS, None, 1, AUDITED + 4))
    assert [judging.nearest(RIVERS, seq) for seq in range(AUDITED, AUDITED + 5)] == [Match(0, 1.0)] * 5
    assert len(judging.alarms) == 1
    assert judging.hints.tally == {Use.AUDITED: 1, Use.WRONG: 1, Use.MISSING: 5}


def test_a_wrong_hint_ends_the_use_of_hints_in_its_answer() -> None:
    judging = Judging(RIVERS, SUM)
    wrong = says(RIVERS, None, 2, AUDITED)
    both = structs.replace(wrong, candidates=(*wrong.candidates, *says(SUM, None, 2).candidates))
    judging.hints.take(both)
    pool = judging.pool_for(examples.answer(AUDITED, RIVERS, SUM))
    assert [pool.nearest(RIVERS), pool.nearest(SUM)] == [Match(0, 1.0), Match(1, 1.0)]
    assert len(judging.alarms) == 1


def test_a_right_hint_that_is_audited_is_no_alarm() -> None:
    judging = Judging(LETTER, RIVERS)
    judging.hints.take(judging.hint(ALIKE, LETTER, seq=AUDITED))
    assert judging.nearest(ALIKE, AUDITED) == judging.index.nearest(ALIKE)
    assert judging.hints.tally == {Use.AUDITED: 1}
    assert judging.hints.believed


def test_one_in_a_hundred_is_audited_and_always_the_same() -> None:
    audited = [seq for seq in range(100_000) if is_audited(seq)]
    assert 900 < len(audited) < 1_100
    assert all(Hint.of(says(SUM, None, 0, seq)).audited for seq in audited[:10])


def test_what_comes_after_the_decision_is_late() -> None:
    judging = Judging()
    judging.hints.take(says(SUM, None, 0))
    assert len(judging.hints) == 1
    judging.hints.settle(UNAUDITED)
    assert len(judging.hints) == 0
    judging.hints.take(says(SUM, None, 0))
    assert len(judging.hints) == 0
    assert judging.hints.tally == {Use.LATE: 1}


def test_what_is_said_again_takes_the_place_of_what_was_said() -> None:
    judging = Judging(RIVERS)
    judging.hints.take(judging.hint(SUM, *(RIVERS,) * 9))
    judging.hints.take(judging.hint(SUM, RIVERS))
    assert len(judging.hints) == 1
    assert judging.nearest(SUM) is None
    assert judging.hints.tally == {Use.USED: 1}


def test_of_too_many_hints_the_oldest_is_forgotten() -> None:
    hints = Hints(THRESHOLD, lambda _: None, remembered=3)
    for seq in (5, 1, 2, 5, 3):
        hints.take(says(SUM, None, 0, seq))
    assert len(hints) == 3
    index = index_of()
    used = [hints.on(examples.answer(seq, SUM), index, 0).nearest(SUM) for seq in (1, 2, 5, 3)]
    assert used == [None] * 4
    assert hints.tally == {Use.MISSING: 1, Use.USED: 3}


def test_what_became_of_hints_is_told_to_prometheus() -> None:
    judging = Judging(RIVERS)
    judging.hints.take(says(RIVERS, None, 1, AUDITED))
    judging.nearest(RIVERS, AUDITED)
    judging.nearest(SUM)
    samples = [sample for metric in hint_numbers(judging.hints) for sample in metric.samples]
    told = {(sample.name, sample.labels.get("use")): sample.value for sample in samples if sample.value}
    assert told == {
        ("seedstream_hints_total", "audited"): 1.0,
        ("seedstream_hints_total", "wrong"): 1.0,
        ("seedstream_hints_total", "missing"): 1.0,
    }
    assert ("seedstream_hints_believed", 0.0) in [(sample.name, sample.value) for sample in samples]
