"""Beginnings of instructions, which distinguish a task from the title above it, and a request from talk about one."""

import re

_VERBS = """
add adapt advise analyse analyze answer argue arrange ask assess assign brainstorm break build calculate categorise
categorize change check choose cite clarify classify combine come comment compare complete compose compress compute
condense construct continue contrast convert correct count craft create criticise criticize debate debug decide decode
deduce define delete demonstrate derive describe design detect determine develop devise diagnose differentiate discuss
distinguish divide draft draw edit elaborate eliminate encode encrypt enumerate estimate evaluate examine expand explain
explore express extract fill find finish fix format formulate generate give grade group guess help highlight identify
illustrate imagine implement improve infer insert interpret invent justify label list make match measure merge name
narrate negotiate offer optimise optimize order organise organize outline paraphrase parse perform pick plan point
predict prepare present prioritise prioritize produce proofread propose prove provide punctuate put question rank rate
read rearrange recommend reconstruct refactor rephrase replace reply report respond restate retell reverse review revise
rewrite say score search select separate shorten show simplify sketch solve sort split spot state structure suggest
summarise summarize supply tag take tell test think transform translate turn unscramble update use verify visualise
visualize weigh write
"""
_QUESTIONS = (
    "what which who whom whose when where why how is are was were do does did can could would should will has have"
)
_FIRST = frozenset(f"{_VERBS} {_QUESTIONS}".split())
# Words that join others into a phrase and do not occur in titles, unlike `and`, `of`, `the` and `to`.
_JOINING = frozenset(
    ("or", "if", "from", "into", "this", "these", "that", "those", "following", "your", "you", "my", "it", "its")
)
_WORD = re.compile(r"[a-z']+")
_REQUEST = re.compile(
    rf"[.;:,!?]\s++(?:(?:please|then|now|so|and)\s++)?+(?:{'|'.join(_VERBS.split())})\b", re.IGNORECASE
)


def is_directive(text: str) -> bool:
    """Return whether a short text is a request and not a title: `True or false`, but not `Creative writing`."""
    words = _WORD.findall(text.lower())
    return bool(words) and (words[0] in _FIRST or not _JOINING.isdisjoint(words))


def goes_on_to_ask(text: str) -> bool:
    """Return whether a text asks for something after its first clause, as in `I cannot sleep. Suggest a remedy`."""
    return _REQUEST.search(text) is not None
