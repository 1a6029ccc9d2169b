"""Value types of Self-Instruct: seed tasks, instances, candidates and the reasons to reject them."""

from dataclasses import dataclass

from msgspec import Struct

from service.open_enum import OpenEnum


class Instance(Struct, frozen=True, gc=False):
    """One (input, output) pair of a task. The input may be empty; the output of a finished task is not."""

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class SeedTask:
    """A human-written task with at least one instance. `is_classification` is None if its file does not say."""

    id: str
    name: str
    instruction: str
    instances: tuple[Instance, ...]
    is_classification: bool | None


class Reason(OpenEnum):
    """The reason why a candidate instruction was rejected, in the order of the tests."""

    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    REFUSAL = "refusal"
    CHATTER = "chatter"
    EMPTY = "empty"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    BLOCKED_WORD = "blocked_word"
    BLOCKED_OPENING = "blocked_opening"
    LEADING_PUNCTUATION = "leading_punctuation"
    LEADING_NON_ASCII = "leading_non_ascii"
    EMPTY_OUTPUT = "empty_output"
    TOO_SIMILAR = "too_similar"
    SEMANTICALLY_SIMILAR = "semantically_similar"


class InstanceReason(OpenEnum):
    """The reason why an accepted instruction yields no finished task."""

    CALL_FAILED = "call_failed"
    NONE_PARSED = "none_parsed"
    NONE_VALID = "none_valid"
    CONTRADICTORY = "contradictory"
    REFUSAL = "refusal"
    CHATTER = "chatter"


class Candidate(Struct, frozen=True, gc=False):
    """One instruction proposed by the model, at its place in the reply (from 0).

    `instance` came with it under Alpaca. `rejection` is set if the parser itself rejected it.
    """

    position: int
    instruction: str
    instance: Instance | None = None
    rejection: Reason | None = None
