"""Checks the topics of a run on Kafka, and says what is wrong, what it means and which command mends it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from service.adapters.kafka import REPLICATION, KafkaBroker, TopicState
from service.errors import ConfigurationError
from service.messaging import codec
from service.messaging.broker import DEAD_LETTERS, Partition, TopicSpec
from service.messaging.messages import RunDefined, TopicIds
from service.messaging.topic_reader import Tail
from service.messaging.topics import ALL, CLASSIFIED, CONTROL, HINTS, INSTRUCTIONS, specs
from service.run.create import identify_topics
from service.settings import KAFKA_SCHEME, Settings

_DAY_MINUTES = 24 * 60
_IN_SYNC = "min.insync.replicas"
# By the number of copies.
_RISK = {
    1: "the loss of one broker may lose records that were acknowledged",
    2: "while one broker is away, the loss of the other may lose records that were acknowledged",
}
_MOST_NAMED = 4
# The groups of the stages that read topics which may be created anew.
_GROUPS = {INSTRUCTIONS.name: "classify", CLASSIFIED.name: "instances"}


@dataclass(frozen=True, slots=True)
class TopicReport:
    """The state of a run's topics: faults that must be mended, each with the command, and remarks."""

    faults: Sequence[str]
    remarks: Sequence[str]


async def find_faults(broker: KafkaBroker, settings: Settings) -> list[str]:
    """Return the errors of a run's topics, each with the command that fixes it; empty if all topics are valid.

    Raises:
        NotAuthorizedError: this client may not see the topics.
    """
    wanted = specs(settings.run, settings.work_partitions)
    return await _all_faults(broker, settings, wanted, await broker.describe_topics([spec.name for spec in wanted]))


async def report(broker: KafkaBroker, settings: Settings, *, with_brokers: bool = True) -> TopicReport:
    """Return the faults of a run's topics, and remarks on them and on the settings of the brokers."""
    wanted = specs(settings.run, settings.work_partitions)
    states = await broker.describe_topics([spec.name for spec in wanted])
    faults = await _all_faults(broker, settings, wanted, states)
    remarks = list(_remarks(states))
    if with_brokers:
        remarks += _retention(await broker.broker_setting("offsets.retention.minutes"))
    return TopicReport(faults, remarks)


async def create_missing(broker: KafkaBroker, settings: Settings) -> None:
    """Create the missing topics of a run.

    Topics of a defined run whose records can be written again, or are needed by nobody, may be created anew: their new
    ids become those of the run.

    Raises:
        ConfigurationError: a missing topic had records that the run cannot do without.
    """
    run = settings.run
    wanted = specs(run, settings.work_partitions)
    before = await broker.topic_ids([spec.name for spec in wanted])
    defined, known = await _on_control(broker, run) if CONTROL.of(run) in before else (False, None)
    lost = [_full(run, name) for name in known or {} if _full(run, name) not in before and not _is_renewable(name)]
    if lost:
        raise ConfigurationError(
            "\n  ".join([f"topics of run {run!r} are gone:", *(_gone(run, name) for name in lost)])
        )
    await broker.create_topics(wanted)
    if not defined:
        return
    (now,) = await identify_topics(broker, run)
    if now.ids != known and all(map(_is_renewable, _others(known or {}, now.ids))):
        async with broker.producer() as producer:
            await producer.send([codec.encode(now, run)])


async def _all_faults(
    broker: KafkaBroker, settings: Settings, wanted: Sequence[TopicSpec], states: Sequence[TopicState]
) -> list[str]:
    truncated = await _truncated(broker, settings, states)
    if truncated:  # `control` may be among them, and must be whole to be read
        return _faults(settings, wanted, states) + truncated
    run = settings.run
    now = {state.name: state.id for state in states}
    _, known = await _on_control(broker, run) if CONTROL.of(run) in now else (False, None)
    ids = {_full(run, name): each for name, each in (known or {}).items()}
    lost = [name for name in ids if name not in now and not _is_renewable(_short(run, name))]
    recreated = [name for name, each in now.items() if ids.get(name, each) != each]
    return [
        *_faults(settings, [spec for spec in wanted if spec.name not in lost], states),
        *(_gone(run, name) for name in lost),
        *(_recreated_error(settings, name) for name in recreated),
    ]


async def _truncated(broker: KafkaBroker, settings: Settings, states: Sequence[TopicState]) -> list[str]:
    """Return an error for each partition whose first records are gone; no setting brings them back."""
    needed = {topic.of(settings.run) for topic in ALL if topic is not HINTS}
    partitions = [
        Partition(state.name, number) for state in states if state.name in needed for number in range(state.partitions)
    ]
    begins = await broker.begin_offsets(partitions)
    return [
        f"{partition}: the records below offset {begin} are gone, by retention or someone deleted them; "
        f"{_consequence(settings.run)}"
        for partition, begin in begins.items()
        if begin > 0
    ]


async def _on_control(broker: KafkaBroker, run: str) -> tuple[bool, Mapping[str, str] | None]:
    """Return whether the run is defined, and the last ids of its topics, `None` if they were never written."""
    defined, ids = False, None
    async with Tail.of(broker, run, [CONTROL]) as tail:
        async for message in tail.messages_to_end():
            defined = defined or isinstance(message, RunDefined)
            ids = message.ids if isinstance(message, TopicIds) else ids
    return defined, ids


def _others(known: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names of topics that exist and have another id than before."""
    return [name for name, each in now.items() if known.get(name, each) != each]


def _full(run: str, name: str) -> str:
    return CONTROL.of(run).removesuffix(CONTROL.name) + name


def _short(run: str, topic: str) -> str:
    return topic.removeprefix(_full(run, ""))


def _is_renewable(name: str) -> bool:
    return name in (INSTRUCTIONS.name, CLASSIFIED.name, HINTS.name) or name.endswith(DEAD_LETTERS)


def _recreated_error(settings: Settings, topic: str) -> str:
    name = _short(settings.run, topic)
    if not _is_renewable(name):
        return f"{topic} was deleted and created again, and {_consequence(settings.run)}"
    mends = f"`seedstream topics create {_here(settings)}` takes the new topic into the run"
    if name not in _GROUPS:
        return f"{topic} was deleted and created again; the run needs none of its records: {mends}"
    group = f"seedstream.{settings.run}.{_GROUPS[name]}"
    reset = (
        f"`kafka-consumer-groups.sh --bootstrap-server {_bootstrap(settings)} --group {group} --topic {topic} "
        "--reset-offsets --to-earliest --execute`"
    )
    return (
        f"{topic} was deleted and created again: stop all processes of the run, let {reset} start its readers at the "
        f"beginning, then {mends}; admit writes the tasks again that nobody had read"
    )


def _gone(run: str, topic: str) -> str:
    return f"{topic} was deleted, and {_consequence(run)}"


def _consequence(run: str) -> str:
    return (
        f"the state of the run depends on its records, which are gone: run {run!r} cannot go on. `seedstream consume "
        "--until-end` writes the tasks that are left; start a run with another name"
    )


def _faults(settings: Settings, wanted: Sequence[TopicSpec], states: Sequence[TopicState]) -> list[str]:
    here = _here(settings)
    found = [f"missing: {names}; `seedstream topics create {here}` creates them" for names in _missing(wanted, states)]
    ordered = {topic.of(settings.run) for topic in ALL if not topic.fanned_out}
    for state in states:
        if state.name in ordered and state.partitions != 1:
            found.append(
                f"{state.name}: expected 1 partition, since its order is the run's truth, got {state.partitions}; "
                "delete it while it is empty, and `seedstream topics create` creates it anew"
            )
        if settings.replication is not None and state.replication < settings.replication:
            found.append(
                f"{state.name}: expected {settings.replication} replicas, got {state.replication}; "
                "`kafka-reassign-partitions.sh` adds replicas"
            )
        found += _wrong_settings(state, _bootstrap(settings))
    return found


def _missing(wanted: Sequence[TopicSpec], states: Sequence[TopicState]) -> list[str]:
    names = [spec.name for spec in wanted if spec.name not in {state.name for state in states}]
    if len(names) > 1:
        return [f"{names[0]} and {len(names) - 1} more"]
    return names


def _wrong_settings(state: TopicState, bootstrap: str) -> list[str]:
    wrong = {name: value for name, value in state.wrong_configs().items() if not _is_choice(state, name)}
    if not wrong:
        return []
    got = ", ".join(f"{name}={state.configs.get(name)}" for name in wrong)
    asked = ",".join(f"{name}={value}" for name, value in wrong.items())
    command = f"kafka-configs.sh --bootstrap-server {bootstrap} --alter --entity-type topics --entity-name {state.name}"
    return [f"{state.name}: expected {asked}, got {got}; `{command} --add-config {asked}` sets it"]


def _is_choice(state: TopicState, name: str) -> bool:
    """Return whether a wrong setting is the operator's choice: that an acknowledged record may have a single copy."""
    return name == _IN_SYNC and name in state.chosen and int(state.configs[name]) <= state.replication


def _remarks(states: Sequence[TopicState]) -> Iterator[str]:
    """Yield remarks on topics that are valid."""
    fewest = min((state.replication for state in states), default=REPLICATION)
    if fewest < REPLICATION:
        copies = "1 copy" if fewest == 1 else f"{fewest} copies"
        where = _names([state for state in states if state.replication == fewest])
        yield f"{where}: {copies} of each record; {_RISK[fewest]}"
    for state in states:
        if _IN_SYNC in state.wrong_configs() and _is_choice(state, _IN_SYNC):
            yield f"{state.name}: {_IN_SYNC}={state.configs[_IN_SYNC]} is set on the topic: {_RISK[1]}"
    behind = [state for state in states if state.in_sync < state.replication]
    if behind:
        yield f"{_names(behind)}: not all replicas are in sync; a broker is away, or has just come back"
    yield from _widths(states)


def _widths(states: Sequence[TopicState]) -> Iterator[str]:
    ordered = {topic.name for topic in ALL if not topic.fanned_out}
    wide = [each for each in states if each.name.removesuffix(DEAD_LETTERS).rpartition(".")[2] not in ordered]
    by_width = {
        width: list(group) for width, group in groupby(sorted(wide, key=lambda each: each.partitions), _partitions)
    }
    if len(by_width) > 1:
        counts = "; ".join(f"{width}: {_names(group)}" for width, group in by_width.items())
        yield (
            f"partitions differ: {counts}; a stage has at most as many members at work as its topic has partitions; "
            "`kafka-topics.sh --alter --partitions` adds some"
        )


def _partitions(state: TopicState) -> int:
    return state.partitions


def _names(states: Sequence[TopicState]) -> str:
    names = [state.name.split(".", 2)[2] for state in states]
    return ", ".join(names) if len(names) <= _MOST_NAMED else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _retention(minutes: str | None) -> Iterator[str]:
    if minutes is None:
        yield "the settings of the brokers cannot be seen: that takes the right to DescribeConfigs on the cluster"
        return
    yield (
        f"offsets.retention.minutes={minutes}: a group without members for {_days(int(minutes))} loses its committed "
        "offsets; then workers read their topics again from the beginning, and `consume --group` starts anew"
    )


def _days(minutes: int) -> str:
    return f"{minutes / _DAY_MINUTES:.3g} days" if minutes >= _DAY_MINUTES else f"{minutes} minutes"


def _here(settings: Settings) -> str:
    return f"--broker {settings.broker} --run {settings.run}"


def _bootstrap(settings: Settings) -> str:
    return settings.broker.removeprefix(KAFKA_SCHEME)
