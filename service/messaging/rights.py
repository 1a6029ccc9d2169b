"""The least rights of each account at Kafka that works on a run: which topics it reads and writes, and as which group.

A process with several roles needs the rights of all of them. `seedstream topics acls` prints the table as commands,
`seedstream topics manifest` as resources for Strimzi.
"""

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from service.messaging.dead_letters import DEAD_LETTER_TOPICS, STAGE_INPUTS, replay_group
from service.messaging.messages import Message
from service.messaging.topics import (
    ALL,
    CANDIDATES,
    CLASSIFIED,
    CONTROL,
    DECISIONS,
    HINTS,
    INSTANCES,
    INSTRUCTIONS,
    POOL,
    PROMPTS,
    TASKS,
    Topic,
)


class Account(StrEnum):
    """An account at Kafka: one for each role of a worker, and those of the command line.

    `operator` is for `goal`, `seeds`, `replay`, `status` and all that shows a run, `web` for the page and the REST API,
    `reader` for `consume` and `export`, `creator` for `topics create|check`, and `single` for `run` and `refilter
    --into`, which do the work of all roles.
    """

    PRODUCER = "producer"
    GENERATE = "generate"
    CLASSIFY = "classify"
    INSTANCES = "instances"
    SCREEN = "screen"
    ADMIT = "admit"
    FINISH = "finish"
    OPERATOR = "operator"
    WEB = "web"
    READER = "reader"
    CREATOR = "creator"
    SINGLE = "single"


class Resource(StrEnum):
    """A kind of resource, under the name that the options of `kafka-acls.sh` have."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"
    CLUSTER = "cluster"


class Operation(StrEnum):
    """An operation, under Kafka's name. READ and WRITE imply DESCRIBE."""

    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DESCRIBE = "Describe"
    DESCRIBE_CONFIGS = "DescribeConfigs"


class Right(Struct, frozen=True):
    """The right to an operation on one resource or, with `prefixed`, on all whose names begin with `name`."""

    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False


class _Needs(Struct, frozen=True):
    """The topics that one account reads and writes; `groups` and `ids` lack the prefix of the run.

    `holds_leases` is for processes that call the model.
    """

    reads: tuple[Topic[Message], ...] = ()
    writes: tuple[Topic[Message], ...] = ()
    groups: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    holds_leases: bool = False


# `topics check` looks at the settings of the brokers.
_BROKER_SETTINGS = Right(Resource.CLUSTER, "kafka-cluster", Operation.DESCRIBE_CONFIGS)
_REPLAY = replay_group("").rpartition(".")[2]


def _calling(role: str, source: Topic[Message], results: Topic[Message]) -> _Needs:
    """Return the needs of a role that calls the model; on `results` it finds the questions with an answer."""
    return _Needs(
        reads=(CONTROL, source, results),
        writes=(CONTROL, results, _letters_of(source)),
        groups=(role,),
        holds_leases=True,
    )


def _letters_of(topic: Topic[Message]) -> Topic[Message]:
    return DEAD_LETTER_TOPICS[STAGE_INPUTS.index(topic)]


_NEEDS = {
    Account.PRODUCER: _Needs(
        # Candidates and classified have the costs of calls, for a limit in dollars.
        reads=(CONTROL, POOL, DECISIONS, INSTANCES, TASKS, PROMPTS, CANDIDATES, CLASSIFIED, *DEAD_LETTER_TOPICS),
        writes=(PROMPTS, CONTROL),
        groups=("producer.active",),
        ids=("prompts",),
    ),
    Account.GENERATE: _calling("generate", PROMPTS, CANDIDATES),
    Account.CLASSIFY: _calling("classify", INSTRUCTIONS, CLASSIFIED),
    Account.INSTANCES: _calling("instances", CLASSIFIED, INSTANCES),
    Account.SCREEN: _Needs(
        reads=(CONTROL, CANDIDATES, POOL, Topic(f"{HINTS.name}.dlq", (), fanned_out=True)),
        writes=(HINTS,),
        groups=("screen",),
    ),
    Account.ADMIT: _Needs(
        # If a topic of work was recreated, all that shows which tasks are on their way is read.
        reads=(CONTROL, CANDIDATES, POOL, DECISIONS, HINTS, INSTRUCTIONS, CLASSIFIED, INSTANCES, *DEAD_LETTER_TOPICS),
        # Alpaca's candidates are whole tasks, which need no further call: they go to `instances`.
        writes=(POOL, DECISIONS, INSTRUCTIONS, INSTANCES, CONTROL, _letters_of(CANDIDATES)),
        groups=("admit", "admit.active"),
        ids=("admit",),
    ),
    Account.FINISH: _Needs(
        reads=(CONTROL, INSTANCES, TASKS),
        writes=(TASKS, CONTROL, _letters_of(INSTANCES)),
        groups=("finish", "finish.active"),
        ids=("finish",),
    ),
    Account.OPERATOR: _Needs(
        reads=(*ALL, *DEAD_LETTER_TOPICS),
        writes=(CONTROL, *STAGE_INPUTS),
        groups=(_REPLAY,),
        ids=("define", _REPLAY),
    ),
    Account.WEB: _Needs(reads=(*ALL, *DEAD_LETTER_TOPICS), writes=(CONTROL, CANDIDATES), ids=("define",)),
    Account.READER: _Needs(reads=(TASKS,)),
    Account.CREATOR: _Needs(reads=(CONTROL,), writes=(CONTROL,)),
}


def rights_of(account: Account, run: str) -> list[Right]:
    """Return the least rights of an account for a run."""
    prefix = f"seedstream.{run}."
    if account is Account.SINGLE:
        topic_operations = (Operation.READ, Operation.WRITE, Operation.DESCRIBE_CONFIGS)
        return [
            *(_all(Resource.TOPIC, prefix, operation) for operation in topic_operations),
            _all(Resource.GROUP, prefix, Operation.READ),
            _all(Resource.TRANSACTIONAL_ID, prefix, Operation.WRITE),
        ]
    rights = [_all(Resource.TOPIC, prefix, Operation.DESCRIBE)]
    if account is Account.READER:
        return [*rights, *_needed(_NEEDS[account], run), _all(Resource.GROUP, f"{prefix}consume.", Operation.READ)]
    rights += [_all(Resource.TOPIC, prefix, Operation.DESCRIBE_CONFIGS), *_needed(_NEEDS[account], run)]
    if account is Account.CREATOR:
        return [*rights, _all(Resource.TOPIC, prefix, Operation.CREATE), _BROKER_SETTINGS]
    if account is Account.WEB:
        rights.append(_all(Resource.GROUP, f"{prefix}webhook.", Operation.READ))
    # Every worker measures what the run waits for, from the offsets of all groups.
    rights.append(_all(Resource.GROUP, prefix, Operation.DESCRIBE))
    return [*rights, _BROKER_SETTINGS] if account in (Account.OPERATOR, Account.WEB) else rights


def _all(resource: Resource, prefix: str, operation: Operation) -> Right:
    return Right(resource, prefix, operation, prefixed=True)


def _needed(needs: _Needs, run: str) -> Iterator[Right]:
    prefix = f"seedstream.{run}."
    reads = dict.fromkeys(topic.of(run) for topic in needs.reads)
    if needs.holds_leases:  # the leases are the partitions of all dead letter topics
        reads |= dict.fromkeys(topic.dead_letters_of(run) for topic in ALL)
        yield _all(Resource.GROUP, f"{prefix}leases", Operation.READ)  # a group for each model
    for name in reads:
        yield Right(Resource.TOPIC, name, Operation.READ)
    for topic in needs.writes:
        yield Right(Resource.TOPIC, topic.of(run), Operation.WRITE)
    for group in needs.groups:
        yield Right(Resource.GROUP, prefix + group, Operation.READ)
    for name in needs.ids:
        yield Right(Resource.TRANSACTIONAL_ID, prefix + name, Operation.WRITE)
