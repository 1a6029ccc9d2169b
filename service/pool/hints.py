"""Hints of screens, the rules for using them, and a pool that is searched with their help.

A screen compares a candidate with a prefix of the pool; the filter looks at the rest alone and takes the nearer of the
two. The pool only grows and the score is a maximum, so the verdict is that of a full search. A hint that is missing,
late or does not fit means a full search. Some hinted answers are searched in full all the same; after the first
wrong hint no hint is used any more.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Protocol
from unicodedata import unidata_version

from msgspec import Struct

from service.containers import Arrays, DenseSet
from service.messaging.messages import Answer, ScreenedCandidates, ScreenedText
from service.selfinstruct.filters import refusal
from service.selfinstruct.judging import Pool
from service.selfinstruct.recipe import Filters, Language
from service.selfinstruct.similarity import Match

# To be raised with every change after which another text may be the nearest, or have another score.
_SCORER = "rouge-l/1"
_AUDITED_OF = 100
# Four times the distance that a screen is ahead at most (`service.pool.screen_worker`).
_REMEMBERED = 8_192


class Use(StrEnum):
    """The use of a hint on one candidate; `late` counts whole answers."""

    USED = "used"
    AUDITED = "audited"
    MISSING = "missing"
    UNFIT = "unfit"
    LATE = "late"
    WRONG = "wrong"


class WrongHint(Struct, frozen=True):
    """A hint that a full search contradicts."""

    prompt_id: str
    pool_seen: int
    hinted: Match | None
    found: Match | None


class Ground(Pool, Protocol):
    """A pool that can be searched in part: a `SimilarityIndex`, or an `Overlay` for a batch."""

    def nearest(self, text: str, /, since: int = 0) -> Match | None:
        """Return the nearest text from a position on."""
        ...

    def score(self, text: str, position: int, /) -> float:
        """Return the score of a text with the one at a position."""
        ...


def scorer_of(threshold: float, language: Language = Language.EN) -> str:
    """Return the identity of a comparison, equal in processes that compare alike: rule, version, threshold, tokens."""
    tokens = "" if language is Language.EN else f" {language} {unidata_version}"
    return hashlib.sha256(f"{_SCORER} > {threshold!r}{tokens}".encode()).hexdigest()[:16]


def digest_of(text: str) -> str:
    """Return 24 hexadecimal digits that stand for a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def is_audited(prompt_seq: int) -> bool:
    """Return whether the answer to a prompt is searched in full in spite of a hint: 1 % are, always the same ones."""
    drawn = hashlib.blake2b(f"audit {prompt_seq}".encode(), digest_size=4).digest()
    return int.from_bytes(drawn, "big") % _AUDITED_OF == 0


class Searched(Protocol):
    """The pool, as a screen needs it."""

    def __len__(self) -> int: ...

    def nearest(self, text: str, /) -> Match | None:
        """Return the nearest text above the threshold."""
        ...


def screen(filters: Filters, answer: Answer, pool: Searched) -> ScreenedCandidates:
    """Return the hint on an answer; candidates that other filters reject need none."""
    texts = dict.fromkeys(each.instruction for each in answer.candidates if refusal(filters, each) is None)
    return ScreenedCandidates(
        prompt_id=answer.prompt_id,
        prompt_seq=answer.prompt_seq,
        pool_seen=len(pool),
        scorer=scorer_of(filters.rouge_threshold, filters.language),
        candidates=tuple(_screened(text, pool.nearest(text)) for text in texts),
    )


def _screened(text: str, match: Match | None) -> ScreenedText:
    if match is None:
        return ScreenedText(digest=digest_of(text))
    return ScreenedText(digest=digest_of(text), nearest=match.position, score=match.score)


class Hint(Struct, frozen=True):
    """The findings on one answer: for each text, by digest, the nearest of the first `pool_seen` tasks."""

    pool_seen: int
    matches: Mapping[str, Match | None]
    audited: bool

    @classmethod
    def of(cls, message: ScreenedCandidates) -> "Hint":
        """Return the hint of a message, without statements that cannot be true of any pool."""
        matches = {each.digest: _match(each) for each in message.candidates if _is_possible(each, message.pool_seen)}
        return cls(message.pool_seen, matches, is_audited(message.prompt_seq))


def _match(said: ScreenedText) -> Match | None:
    return None if said.nearest is None or said.score is None else Match(said.nearest, said.score)


def _is_possible(said: ScreenedText, pool_seen: int) -> bool:
    if said.nearest is None or said.score is None:
        return said.nearest is None and said.score is None
    return said.nearest in range(pool_seen)


class Hints:
    """The hints on prompts that have no decision yet.

    `tally` counts their use. After the first wrong hint none is `believed`, and `tell` is called once.
    Messages may be taken while another thread judges.
    """

    def __init__(
        self,
        threshold: float,
        tell: Callable[[WrongHint], None],
        remembered: int = _REMEMBERED,
        language: Language = Language.EN,
    ) -> None:
        self.tally: Counter[Use] = Counter()
        self.believed = True
        self.threshold = threshold
        self._scorer = scorer_of(threshold, language)
        self._tell = tell
        self._remembered = remembered
        self._hints: dict[int, Hint] = {}
        self._decided = DenseSet()

    def __len__(self) -> int:
        return len(self._hints)

    def take(self, message: ScreenedCandidates) -> None:
        """Store a hint; the oldest is dropped if there are too many."""
        if message.scorer != self._scorer:
            self.tally[Use.UNFIT] += len(message.candidates)
        elif message.prompt_seq in self._decided:
            self.tally[Use.LATE] += 1
        elif self.believed:
            self._hints.pop(message.prompt_seq, None)
            self._hints[message.prompt_seq] = Hint.of(message)
            if len(self._hints) > self._remembered:
                del self._hints[next(iter(self._hints))]

    def settle(self, prompt_seq: int) -> None:
        """Drop the hint on a prompt, which is decided now."""
        self._decided.add(prompt_seq)
        self._hints.pop(prompt_seq, None)

    def resume(self, name: str, arrays: Arrays) -> None:
        """Drop the hints on all prompts that were decided when a set of them was saved under this name."""
        self._decided.restore(name, arrays)
        self._hints = {seq: hint for seq, hint in self._hints.items() if seq not in self._decided}

    def on(self, answer: Answer, pool: Ground, committed: int) -> Pool:
        """Return the pool to judge an answer by.

        Args:
            answer: the answer to be judged.
            pool: the pool's committed tasks and those that the batch has added so far.
            committed: how many of its tasks are committed.
        """
        hint = self._hints.get(answer.prompt_seq) if self.believed else None
        if hint is not None and hint.pool_seen not in range(committed + 1):
            return Unhinted(pool, self.tally, Use.UNFIT)
        return Unhinted(pool, self.tally, Use.MISSING) if hint is None else HintedPool(pool, hint, self, answer)

    def distrust(self, wrong: WrongHint) -> None:
        """Use no hint any more."""
        self.tally[Use.WRONG] += 1
        if self.believed:
            self.believed = False
            self._tell(wrong)


class Unhinted(Struct, frozen=True):
    """The pool for an answer without a usable hint."""

    pool: Pool
    tally: Counter[Use]
    why: Use

    def add(self, text: str, /) -> int:
        """Take an instruction in."""
        return self.pool.add(text)

    def nearest(self, text: str, /) -> Match | None:
        """Return the nearest of the whole pool."""
        self.tally[self.why] += 1
        return self.pool.nearest(text)


class HintedPool(Struct, frozen=True):
    """The pool for an answer with a hint; its results equal those of a full search."""

    pool: Ground
    hint: Hint
    hints: Hints
    answer: Answer

    def add(self, text: str, /) -> int:
        """Take an instruction in."""
        return self.pool.add(text)

    def nearest(self, text: str, /) -> Match | None:
        """Return the nearest of the whole pool; tasks that the screen has compared are not searched again."""
        digest = digest_of(text)
        if digest not in self.hint.matches:
            return Unhinted(self.pool, self.hints.tally, Use.UNFIT).nearest(text)
        hinted = self.hint.matches[digest]
        if not self.hints.believed:
            return self.pool.nearest(text)
        if hinted is not None and not self._bears_out(text, hinted):
            return self._wrong(hinted, self.pool.nearest(text))
        found = _nearer(hinted, self.pool.nearest(text, since=self.hint.pool_seen))
        return self._audit(text, found) if self.hint.audited else self._use(found)

    def _bears_out(self, text: str, hinted: Match) -> bool:
        """Return whether the task that a hint names is as near as it says, and too near."""
        return self.hints.threshold < hinted.score == self.pool.score(text, hinted.position)

    def _use(self, found: Match | None) -> Match | None:
        self.hints.tally[Use.USED] += 1
        return found

    def _audit(self, text: str, found: Match | None) -> Match | None:
        self.hints.tally[Use.AUDITED] += 1
        whole = self.pool.nearest(text)
        return whole if whole == found else self._wrong(found, whole)

    def _wrong(self, hinted: Match | None, found: Match | None) -> Match | None:
        self.hints.distrust(WrongHint(self.answer.prompt_id, self.hint.pool_seen, hinted, found))
        return found


def _nearer(first: Match | None, then: Match | None) -> Match | None:
    """Return the nearer of two, the first of equals."""
    matches: Iterable[Match] = (match for match in (first, then) if match is not None)
    return max(matches, key=lambda match: match.score, default=None)
