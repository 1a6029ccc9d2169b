"""Pieces of patterns for the phrases of models, and the spelling in which texts are compared with them."""

import re


def any_of(*alternatives: str) -> str:
    """Return the pattern that matches any of some patterns."""
    return f"(?:{'|'.join(alternatives)})"


_MARKS = " \t\n*_#>\"'\u201c\u201d`(-\u2013\u2014"
_READ = 400


def start_of(text: str) -> str:
    """Return the beginning of a text in one case, with one kind of blank and one of apostrophe."""
    head = text.lstrip(_MARKS)[:_READ].lower().replace("\u2019", "'").replace("\u02bc", "'").replace("\u00a0", " ")
    return re.sub(r"[ \t]+", " ", head)


AGREEMENTS = (
    any_of(
        r"sure",
        r"certainly",
        r"of course",
        r"absolutely",
        r"definitely",
        r"gladly",
        r"great(?: question)?",
        r"okay",
        r"ok",
        r"alright",
        r"all right",
        r"no problem",
        r"understood",
        r"got it",
        r"(?:with|my) pleasure",
        r"perfect",
    )
    + r"(?: thing)? ?[!,.:;\u2013\u2014-]"
)
WILLING = r"(?:i'd|i would|i'll|i will|i'm|i am) (?:be )?(?:more than )?(?:happy|glad|delighted|pleased) to\b"
WORDS_OF_AN_AGREEMENT = 2  # `Of course.`
