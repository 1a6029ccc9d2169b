"""The errors of Seedstream, in one tree.

Our exception hierarchy:

SeedstreamError
├── ConfigurationError            what the user asked for cannot be done; nothing was spent
│   ├── SeedTaskError             a line of a seed file is not a seed task
│   ├── TemplateError             a prompt template is missing or lacks a marker
│   ├── RunMismatchError          the run exists with another recipe or other seeds
│   └── RunNotFoundError          there is no such run
├── BrokerError                   the log could not do what was asked
│   ├── RunLockedError            other processes are at work on this run
│   ├── TopicMissingError         a topic was never created
│   ├── RecordTooLargeError       a record exceeds the limit of its topic
│   ├── FencedError               another producer took over this transactional id
│   ├── BrokersGoneError          no broker has answered for too long
│   ├── IllegalGenerationError    the group has moved on; the member's partitions are no longer its own
│   └── OutcomeUnknownError       a commit was sent and its answer never came
├── OutputClosedError             whoever read our output has gone
├── DecodeError                   a record is not what its topic promises
└── LanguageModelError            a call did not give a completion
    ├── AttemptFailedError        one attempt gave nothing, the next may; never leaves what makes the attempts
    ├── CallFailedError           this call failed for good; others may work
    │   ├── UnansweredError       … after all its attempts, each of which might have worked
    │   └── CallDroppedError      … not by itself: we stopped asking, and will ask again
    └── EndpointRefusedError      every call would fail the same way: key, quota, model, address

Every message says what was expected, what came and what to do. An error is translated where it enters, always
`from` its cause; whether it can be retried is written on the class, never decided by the caller.
"""

from enum import StrEnum

from service.usage import Usage


class SeedstreamError(Exception):
    """Anything that Seedstream itself reports."""

    exit_code = 1


class ConfigurationError(SeedstreamError):
    """What the user asked for cannot be done as asked; found before anything was spent."""

    exit_code = 2


class SeedTaskError(ConfigurationError):
    """A line of a seed file is not a seed task; names file, line and field."""


class TemplateError(ConfigurationError):
    """A prompt template is missing or lacks one of its markers."""


class RunMismatchError(ConfigurationError):
    """The run exists with another recipe, other seeds or other templates; shows the difference."""


class RunNotFoundError(ConfigurationError):
    """There is no run of that name at that broker."""


class BrokerError(SeedstreamError):
    """The log could not do what was asked of it."""


class RunLockedError(BrokerError):
    """Other processes are at work on this run, where there can be one only."""


class TopicMissingError(BrokerError):
    """A topic that the pipeline needs was never created."""


class RecordTooLargeError(BrokerError):
    """A record exceeds the size limit of its topic."""


class FencedError(BrokerError):
    """Another producer opened the same transactional id; this one may not write any more."""

    exit_code = 75


class BrokersGoneError(BrokerError):
    """No broker has answered for so long that waiting on would hide it."""


class IllegalGenerationError(BrokerError):
    """The consumer group has rebalanced; a commit of the old generation is refused."""


class OutcomeUnknownError(BrokerError):
    """A transaction was sent to be committed and no answer came: only a rebuild can tell."""

    exit_code = 75


class OutputClosedError(SeedstreamError):
    """Whoever read our output has gone; there is nobody to tell."""

    exit_code = 141


class DecodeError(SeedstreamError):
    """A record is not what its topic promises: not JSON, wrong fields, or an unknown type."""


class LanguageModelError(SeedstreamError):
    """A call to the language model did not give a completion."""


class Failing(StrEnum):
    """Why an attempt gave no completion, in a closed set that metrics can count.

    `NO_ANSWER`: no text, but tool calls or nothing at all, as the server would answer again. `THINKING`: the tokens ran
    out while the model was thinking. `UNREADABLE`: a completion that does not answer what was asked.
    """

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    INVALID_BODY = "invalid_body"
    ABORTED = "aborted"
    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    NO_ANSWER = "no_answer"
    THINKING = "thinking"
    UNREADABLE = "unreadable"


class AttemptFailedError(LanguageModelError):
    """One attempt gave nothing and the next may.

    `after_s` is what the server asks to wait, `usage` what it counted for the attempt all the same.
    """

    def __init__(
        self, failing: Failing, message: str, after_s: float | None = None, usage: Usage | None = None
    ) -> None:
        super().__init__(message)
        self.failing = failing
        self.after_s = after_s
        self.usage = usage


class CallFailedError(LanguageModelError):
    """One call failed for good; others may still work.

    `attempts` were made for it, and `wasted` is what the server counted for them, which `cost_usd` is the price of, by
    the price table of that version.
    """

    def __init__(
        self,
        message: str,
        failing: Failing = Failing.BAD_REQUEST,
        *,
        attempts: int = 1,
        wasted: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.failing = failing
        self.attempts = attempts
        self.wasted = wasted
        self.cost_usd: float | None = None
        self.prices: str | None = None


class UnansweredError(CallFailedError):
    """Every attempt of one call failed in a way that may pass: the server was overloaded, or talked nonsense."""


class CallDroppedError(CallFailedError):
    """We stopped asking before there was an answer, and what its attempts took, if anything, has to be recorded.

    Its record has no result and will be delivered again. `refusal` is why, unless the process is to stop.
    """

    def __init__(self, refusal: "EndpointRefusedError | None", *, attempts: int, wasted: Usage | None) -> None:
        super().__init__("the call was dropped", Failing.CONNECTION, attempts=attempts, wasted=wasted)
        self.refusal = refusal


class Refused(StrEnum):
    """What a server that refuses every call holds against us: it decides how to find out that this has been mended."""

    CREDENTIALS = "credentials"
    QUOTA = "quota"
    ADDRESS = "address"
    AWAY = "away"


class EndpointRefusedError(LanguageModelError):
    """Every call would fail the same way (key, quota, model name, address), or nobody answers any more.

    `wasted` is what the server counted for the call that showed it.
    """

    exit_code = 5

    def __init__(self, message: str, refused: Refused = Refused.ADDRESS, wasted: Usage | None = None) -> None:
        super().__init__(message)
        self.refused = refused
        self.wasted = wasted
