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
