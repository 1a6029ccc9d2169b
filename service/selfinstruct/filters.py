"""Filters that need only the candidate itself, in the order of the originals."""

import functools
import re
import string
from collections.abc import Callable

from service.selfinstruct.recipe import Filters, Language
from service.selfinstruct.tasks import Candidate, Reason
from service.selfinstruct.unicode_words import count_words, holds_phrase, is_mid_sentence_mark


def refusal(filters: Filters, candidate: Candidate) -> Reason | None:
    """Return the first reason to reject the candidate, or None; the parser's own reason comes before all others.

    In English, words are split by `str.split`. Openings are compared literally and case-sensitively: a capitalized
    candidate starts with `Write a program`. Follows `post_process_gpt3_response` of self-instruct.
    """
    if candidate.rejection is not None:
        return candidate.rejection
    return next((reason for reason, refuses in _FILTERS if refuses(filters, candidate)), None)


def _is_empty(_: Filters, candidate: Candidate) -> bool:
    return not candidate.instruction.strip()


def _is_too_short(filters: Filters, candidate: Candidate) -> bool:
    """Return whether the text has too few words; False for a text that is rejected for its beginning.

    The words of such a text may have no blanks between them.
    """
    return not _starts_outside_ascii(filters, candidate) and _words(filters, candidate) < filters.min_words


def _is_too_long(filters: Filters, candidate: Candidate) -> bool:
    return _words(filters, candidate) > filters.max_words


def _words(filters: Filters, candidate: Candidate) -> float:
    text = candidate.instruction
    return len(text.split()) if filters.language is Language.EN else count_words(text)


def _has_blocked_word(filters: Filters, candidate: Candidate) -> bool:
    if filters.language is Language.EN:
        return _any_word(filters.blocked_words).search(candidate.instruction) is not None
    return any(holds_phrase(candidate.instruction, word) for word in filters.blocked_words)


def _has_blocked_opening(filters: Filters, candidate: Candidate) -> bool:
    return candidate.instruction.startswith(filters.blocked_openings)


def _starts_with_punctuation(filters: Filters, candidate: Candidate) -> bool:
    first = candidate.instruction[0]
    return first in string.punctuation or (filters.allow_non_ascii and is_mid_sentence_mark(first))


def _starts_outside_ascii(filters: Filters, candidate: Candidate) -> bool:
    return not filters.allow_non_ascii and not candidate.instruction[0].isascii()


def _has_empty_output(filters: Filters, candidate: Candidate) -> bool:
    if candidate.instance is None or filters.allow_empty_output:
        return False
    return not candidate.instance.output.strip()


@functools.cache
def _any_word(words: tuple[str, ...]) -> re.Pattern[str]:
    r"""Return a case-insensitive pattern for any of the words, as whole words.

    `(?<!\w)` and `(?!\w)` equal `\b` for a word that begins and ends with a letter, and also work for others (`c++`).
    """
    if not words:
        return re.compile(r"(?!)")
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)


_FILTERS: tuple[tuple[Reason, Callable[[Filters, Candidate], bool]], ...] = (
    (Reason.EMPTY, _is_empty),
    (Reason.TOO_SHORT, _is_too_short),
    (Reason.TOO_LONG, _is_too_long),
    (Reason.BLOCKED_WORD, _has_blocked_word),
    (Reason.BLOCKED_OPENING, _has_blocked_opening),
    (Reason.LEADING_PUNCTUATION, _starts_with_punctuation),
    (Reason.LEADING_NON_ASCII, _starts_outside_ascii),
    (Reason.EMPTY_OUTPUT, _has_empty_output),
)
