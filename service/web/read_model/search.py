"""Turns words that a person typed into a query of the full-text index, in which they are never syntax."""

import re

_MAX_CHARACTERS = 500
_MAX_TERMS = 16
_TERM = re.compile(r'"([^"]*)"|([^\s"]+)')


def well_formed(text: str) -> str:
    """Return a text that SQLite takes: without halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


def match_query(text: str) -> str | None:
    """Return the query for texts with all words and quoted phrases; `None` if there is nothing to look for.

    The last word may be the beginning of one, as somebody may still be typing it.
    """
    clean = "".join(each if each.isprintable() else " " for each in text[:_MAX_CHARACTERS])
    found = [(phrase or word, bool(word)) for phrase, word in _TERM.findall(clean)]
    terms = [(term, is_word) for term, is_word in found if any(map(str.isalnum, term))][:_MAX_TERMS]
    if not terms:
        return None
    quoted = [f'"{term}"' for term, _ in terms]
    return " ".join(quoted) + ("*" if terms[-1][1] else "")
