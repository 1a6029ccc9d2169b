"""Hundreds of runs with disordered screens have the results of a filter without hints.

A run has one filter and several screens. The filter crashes now and then, and some of its batches are discarded.
The screens lag behind. Their hints are lost, doubled, late and out of order, and some are detectably wrong.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from msgspec import structs

from consumers.admit import Admit
from consumers.screen import Screen
from service.messaging.messages import Answer, Message, PooledTask, ScreenedCandidates, ScreenedText
from service.pool.batch import Input
from service.pool.hints import Ground, HintedPool, Hints, Use, digest_of, scorer_of
from service.selfinstruct.judging import Pool
from service.selfinstruct.recipe import SELF_INSTRUCT
from service.selfinstruct.similarity import Match
from tests.support import examples

pytestmark = pytest.mark.anyio

RUNS = 300
WORDS = ("alpha", "beta", "gamma", "delta", "river", "mountain", "letter", "number")
THRESHOLD = SELF_INSTRUCT.filters.rouge_threshold

NewHints = Callable[[], Hints]
Broken = Callable[[random.Random, ScreenedCandidates, Sequence[PooledTask]], ScreenedCandidates]


def stream(rng: random.Random) -> list[Input]:
    """Return the input of a filter: seeds, answers and failures, some of them repeated."""
    first = rng.randrange(1_000)

    def text() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(3, 7))).capitalize()

    def one(number: int) -> Input:
        match rng.randrange(8):
            case 0:
                return examples.seed(number, text())
            case 1:
                return examples.failed(first + number)
            case _:
                return examples.answer(first + number, *(text() for _ in range(rng.randint(1, 4))))

    given = [one(number) for number in range(rng.randint(6, 14))]
    return given + rng.sample(given, 3)


def with_another_scorer(_: random.Random, hint: ScreenedCandidates, __: Sequence[PooledTask]) -> ScreenedCandidates:
    return structs.replace(hint, scorer=scorer_of(0.69))


def of_a_pool_to_come(rng: random.Random, hint: ScreenedCandidates, pool: Sequence[PooledTask]) -> ScreenedCandidates:
    return structs.replace(hint, pool_seen=len(pool) + rng.randint(500, 900))


def on_other_texts(_: random.Random, hint: ScreenedCandidates, __: Sequence[PooledTask]) -> ScreenedCandidates:
    others = tuple(structs.replace(each, digest=digest_of(each.digest)) for each in hint.candidates)
    return structs.replace(hint, candidates=others)


def naming_another_task(rng: random.Random, hint: ScreenedCandidates, _: Sequence[PooledTask]) -> ScreenedCandidates:
    """Return a hint that names a random task of the pool as the nearest to every text."""
    if hint.pool_seen == 0:
        return hint
    lies = tuple(
        ScreenedText(digest=each.digest, nearest=rng.randrange(hint.pool_seen), score=rng.uniform(0.7001, 0.9999))
        for each in hint.candidates
    )
    return structs.replace(hint, candidates=lies)


# `naming_another_task` ends the use of hints in its run, so it is rare.
BROKEN: tuple[Broken, ...] = (with_another_scorer, of_a_pool_to_come, on_other_texts) * 3 + (naming_another_task,)


@dataclass
class World:
    """The log of one run, its filter and its screens. With `peeking`, screens also see uncommitted tasks."""

    rng: random.Random
    source: Sequence[Input]
    new_hints: NewHints
    peeking: bool = False
    log: list[Message] = field(default_factory=list)
    hints: list[ScreenedCandidates] = field(default_factory=list)
    tally: Counter[Use] = field(default_factory=Counter)
    admit: Admit = field(init=False)
    heard: Hints = field(init=False)
    read: int = 0

    async def run(self) -> list[Message]:
        """Process the whole source, and return the results on the log."""
        self._restore()
        position = 0
        while position < len(self.source):
            for _ in range(self.rng.randrange(3)):
                self._screen(position)
            self._hear()
            batch = self.source[position : position + self.rng.randint(1, 5)]
            results = [result for _, result in (await self.admit(batch)).results]
            if self.rng.random() < 0.25:
                self._abort(position, results)
                continue
            self.log += results
            for result in results:
                self.admit.restore(result)
            position += len(batch)
        self.tally += self.heard.tally
        return self.log

    def _abort(self, position: int, results: Sequence[Message]) -> None:
        """Discard a batch. In half of the cases, restart the filter too."""
        if self.peeking:
            self._screen(position, [each for each in results if isinstance(each, PooledTask)])
        if self.rng.random() < 0.5:
            self.tally += self.heard.tally
            self._restore()

    def _hear(self) -> None:
        upto = self.rng.randint(self.read, len(self.hints))
        for hint in self.hints[self.read : upto]:
            self.heard.take(hint)
        self.read = upto

    @property
    def pool(self) -> list[PooledTask]:
        return [each for each in self.log if isinstance(each, PooledTask)]

    def _restore(self) -> None:
        """Start a filter with the log and a part of the earlier hints."""
        self.heard = self.new_hints()
        self.admit = Admit(SELF_INSTRUCT, self.heard)
        self.read = self.rng.randint(0, self.read)
        for message in self.log:
            self.admit.restore(message)

    def _screen(self, position: int, uncommitted: Sequence[PooledTask] = ()) -> None:
        """Let a screen that has seen a part of the pool write hints on the next answers."""
        screen = Screen(SELF_INSTRUCT)
        pool = self.pool
        seen = pool if uncommitted else pool[: self.rng.randint(len(pool) // 2, len(pool))]
        for task in (*seen, *uncommitted):
            screen.follow(task)
        answers = [each for each in self.source[max(0, position - 1) : position + 7] if isinstance(each, Answer)]
        for hint in screen(answers):
            told = hint if self.rng.random() < 0.9 else self.rng.choice(BROKEN)(self.rng, hint, pool)
            for _ in range(self.rng.choice((0, 1, 1, 1, 2))):
                self.hints.insert(max(0, len(self.hints) - self.rng.randrange(6)), told)


async def results_of(source: Sequence[Input]) -> list[Message]:
    """Return the results of a filter that takes one message at a time, without a hint or a crash."""
    admit, results = Admit(SELF_INSTRUCT), list[Message]()
    for message in source:
        news = [result for _, result in (await admit([message])).results]
        for result in news:
            admit.restore(result)
        results += news
    return results


def new_hints() -> Hints:
    return Hints(THRESHOLD, lambda _: None, remembered=12)


async def test_no_disorder_of_screens_changes_a_verdict_or_its_match() -> None:
    tally: Counter[Use] = Counter()
    for run in range(RUNS):
        rng = random.Random(f"screens {run}")
        source = stream(rng)
        world = World(rng, source, new_hints)
        assert await world.run() == await results_of(source), run
        tally += world.tally
    assert all(tally[use] >= RUNS // 30 for use in Use), tally
    assert tally[Use.USED] > tally[Use.MISSING] / 2, tally


@dataclass(frozen=True, slots=True)
class Believing:
    """A pool that believes every hint."""

    hinted: HintedPool

    def add(self, text: str, /) -> int:
        return self.hinted.add(text)

    def nearest(self, text: str, /) -> Match | None:
        hint = self.hinted.hint
        said = hint.matches.get(digest_of(text))
        return said if said is not None else self.hinted.pool.nearest(text, since=hint.pool_seen)


class Gullible(Hints):
    """Hints that are never checked."""

    def on(self, answer: Answer, pool: Ground, committed: int) -> Pool:
        found = super().on(answer, pool, 10**6)
        return Believing(found) if isinstance(found, HintedPool) else found


async def differing(new: NewHints) -> int:
    """Return the number of runs in which peeking screens change a result."""
    count = 0
    for run in range(RUNS // 6):
        rng = random.Random(f"peeking {run}")
        source = stream(rng)
        try:
            results = await World(rng, source, new, peeking=True).run()
        except IndexError:  # a verdict by a task that is not there
            count += 1
            continue
        count += results != await results_of(source)
    return count


async def test_only_checks_keep_verdicts_safe_from_peeking_screens() -> None:
    assert await differing(lambda: Gullible(THRESHOLD, lambda _: None)) > RUNS // 24
    assert await differing(new_hints) == 0


async def test_an_audit_finds_a_false_hint_and_ends_the_use_of_hints() -> None:
    """A thousand answers repeat a task of the pool, and the hints of a screen call each of them new."""
    known = "Name three rivers that flow through Europe"
    answers = [examples.answer(seq, known) for seq in range(1_000)]
    alarms: list[object] = []
    hints = Hints(THRESHOLD, alarms.append)
    admit = Admit(SELF_INSTRUCT, hints)
    admit.restore(examples.pooled(0, known))
    lying = Screen(SELF_INSTRUCT)
    lying.follow(examples.pooled(0, "Write a letter to the mayor of your town"))
    for lie in lying(answers):
        hints.take(lie)
    results = [result for _, result in (await admit(answers)).results]
    assert len(alarms) == 1
    assert not hints.believed
    assert hints.tally[Use.WRONG] == hints.tally[Use.AUDITED] == 1
    assert hints.tally[Use.USED] + hints.tally[Use.AUDITED] + hints.tally[Use.MISSING] == len(answers)
    assert sum(isinstance(each, PooledTask) for each in results) == 1
