"""The exception hierarchy of Seedstream.

SeedstreamError
├── ConfigurationError            a setting, an argument or an input file is wrong; nothing was spent
│   ├── SeedTaskError             a line of a seed file is not a seed task
│   │   └── SeedIdTakenError      the run has another task with the id of a new seed task
│   ├── TemplateError             a prompt template is missing or lacks a marker
│   ├── SubjectError              a subject, or the file of its topics, is not usable
│   ├── RunMismatchError          the run exists with another recipe, other seeds or other templates
│   ├── RunNotFoundError          no run of this name exists
│   └── KernelError               the compiled similarity index is missing, or was built from other sources
├── BrokerError                   an operation on the log failed
│   ├── RunLockedError            another process works on this run
│   ├── DamagedLogError           the file of the embedded log is damaged; `seedstream salvage` copies what is whole
│   ├── TopicMissingError         a topic was never created
│   ├── TopicRecreatedError       a topic was deleted and created again
│   ├── RecordsGoneError          records that the state of the run depends on are gone
│   ├── RecordTooLargeError       a record exceeds the limit of its topic
│   ├── FencedError               another producer opened this transactional id
│   ├── NotAuthorizedError        this process has no right to an operation at Kafka
│   ├── BrokersGoneError          no broker has answered for too long
│   ├── IllegalGenerationError    the group has rebalanced; the member's partitions were revoked
│   └── OutcomeUnknownError       a commit was sent and its response never arrived
├── CheckpointUnfitError          a checkpoint is torn, or is not one of this log; handled where it is loaded
├── ReadModelError                a question to the read model of the live service failed
├── OutputClosedError             the reader of standard output has closed it
├── DecodeError                   a record does not match the types of its topic
│   └── NewerVersionError         a newer version wrote the record: upgrade this process
└── LanguageModelError            a call returned no completion
    ├── AttemptFailedError        one attempt failed, the next may succeed; handled where attempts are made
    ├── CallFailedError           this call failed for good; others may succeed
    │   ├── UnansweredError       all attempts of the call failed, each with a retryable error
    │   └── CallDroppedError      the call was stopped before its answer and will be repeated
    └── EndpointRefusedError      every call would fail the same way: key, quota, model, address

A message states the expected value, the actual value and the remedy. An adapter translates a library's error where it
first meets it and raises `from` the cause. The class of an error says whether a retry can help; the caller does not
decide that.
"""


class SeedstreamError(Exception):
    """Base class of all errors of Seedstream; `exit_code` is the exit code of a command that it ends."""

    exit_code = 1


class ConfigurationError(SeedstreamError):
    """A setting, an argument or an input file is wrong; raised before any paid call."""

    exit_code = 2


class SeedTaskError(ConfigurationError):
    """A line of a seed file is not a seed task; the message names file, line and field."""


class SeedIdTakenError(SeedTaskError):
    """The run has another task with the id of a new seed task."""


class TemplateError(ConfigurationError):
    """A prompt template is missing or lacks one of its markers."""


class RecipeError(ConfigurationError):
    """A recipe file cannot be read or has an unknown knob or a wrong value; the message names file and knob."""


class SubjectError(ConfigurationError):
    """A subject, a system prompt, or a file with the topics of a subject is not usable; the message names the place."""


class RunMismatchError(ConfigurationError):
    """The run exists with another recipe, other seeds or other templates; the message lists every difference."""


class RunNotFoundError(ConfigurationError):
    """No run of this name exists at the broker."""


class KernelError(ConfigurationError):
    """The compiled similarity index is missing, or was built from other sources; the message says how to build it."""


class BrokerError(SeedstreamError):
    """An operation on the log failed."""


class RunLockedError(BrokerError):
    """Another process has the run open, and the operation needs exclusive access."""


class DamagedLogError(BrokerError):
    """The file of the embedded log is damaged: its pages are not in order, or a record differs from its checksum."""


class TopicMissingError(BrokerError):
    """A topic or partition that the pipeline needs does not exist."""


class TopicRecreatedError(BrokerError):
    """A topic ends before the offset up to which it has been read: it was deleted and created again."""


class RecordsGoneError(BrokerError):
    """Records of a topic are gone, and the state of the run cannot be rebuilt without them."""


class RecordTooLargeError(BrokerError):
    """A record exceeds the size limit of its topic."""


class FencedError(BrokerError):
    """Another producer opened the same transactional id; the broker refuses all further writes of this one."""

    exit_code = 75


class NotAuthorizedError(BrokerError):
    """Kafka refuses an operation; the message names principal, operation and resource. A retry is futile."""

    exit_code = 77


class BrokersGoneError(BrokerError):
    """No broker has answered within the limit (`kafka_gone_s`)."""


class IllegalGenerationError(BrokerError):
    """The consumer group has rebalanced; the broker refuses a commit of the old generation."""


class OutcomeUnknownError(BrokerError):
    """A commit was sent and no response came; only a rebuild from the log shows whether it took effect."""

    exit_code = 75


class CheckpointUnfitError(SeedstreamError):
    """A checkpoint is torn or of another log or version; whoever loads one reads the log instead."""


class ReadModelError(SeedstreamError):
    """A question to the read model of the live service failed: it took too long, or its file cannot be used."""


class OutputClosedError(SeedstreamError):
    """The reader of standard output has closed it (broken pipe); the command ends without a message."""

    exit_code = 141


class DecodeError(SeedstreamError):
    """A record does not match the types of its topic: not JSON, wrong fields, or an unknown type."""


class NewerVersionError(DecodeError):
    """A newer version of Seedstream wrote a record that this one cannot read; this process has to be upgraded."""
