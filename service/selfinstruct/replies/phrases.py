"""Parts of patterns for the phrases of models, and the normal form of the texts that they match."""

import re


def any_of(*alternatives: str) -> str:
    """Return a pattern that matches any of the patterns `alternatives`."""
    return f"(?:{'|'.join(alternatives)})"


_MARKS = " \t\n*_#>\"'\u201c\u201d`(-\u2013\u2014"
_READ = 400


def start_of(text: str) -> str:
    """Return the beginning of a text after any marks, in lower case, with plain apostrophes and single blanks."""
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
