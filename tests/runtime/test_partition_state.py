"""One partition and its successive owners. They hand over or are killed, while former owners have calls in flight."""

import random
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from service.messaging.broker import Partition, Record
from service.runtime.answer_keys import ANY
from service.runtime.commit_metadata import CommitMetadata, Ends, dump, load
from service.runtime.partition_state import PartitionState

PATIENCE_S = 10


def record(offset: int) -> Record:
    return Record(Partition("t", 0), offset, None, None, (), 0)


@dataclass
class Log:
    """The state that outlives an owner: answers in two partitions of results, the last commit, and calls in flight.

    `owed` holds the calls in flight on live former owners, with the time at which each is given up.
    """

    answers: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    committed: tuple[int, str] = (0, "0,0")
    owed: dict[int, int] = field(default_factory=dict)
    now: int = 0

    @property
    def ends(self) -> Ends:
        return tuple(map(len, self.answers))

    def answer(self, offset: int, partition: int) -> None:
        assert offset not in self.answers[0] + self.answers[1]
        self.answers[partition].append(offset)

    def answered_since(self, since: Ends) -> set[int]:
        return {
            offset
            for partition, start in zip(self.answers, since, strict=True)
            for place, offset in enumerate(partition)
            if place >= start
        }


class Owner:
    """One owner of the partition. Its steps have the order of those in `service.runtime.assignment`."""

    def __init__(self, log: Log, own: set[int]) -> None:
        self.log = log
        start, text = log.committed
        metadata = load(text, 2)
        assert metadata is not None
        answered = log.answered_since(metadata.ends)
        everything = log.answered_since((0, 0))
        assert {offset for offset in answered if offset >= start} == {each for each in everything if each >= start}
        awaited = {offset: log.now + seconds for offset, seconds in metadata.calls.items()}
        self.state = PartitionState(start, metadata, dict.fromkeys(answered, ANY), awaited, own)
        self.position = start
        self.ends = self.followed = log.ends
        self.running = sorted(own)

    def step(self, what: str, number: int) -> None:
        match what:
            case "take":
                self.take(self.position + 1 + number % 4)
            case "answer" if self.running:
                offset = self.running.pop(number % len(self.running))
                self.log.answer(offset, number % 2)
                self.state.finish(offset)
            case "look":
                self.ends = self.log.ends
            case "follow":
                self.follow()
            case "commit":
                self.commit({})
            case _:
                pass

    def take(self, position: int) -> None:
        """Poll up to a position. Every even offset has a record, and the others are gaps."""
        records = {offset: record(offset) for offset in range(self.position, position) if offset % 2 == 0}
        self.position = max(self.position, position)
        self.ask([each for each in self.state.deliver(records, position, self.ends) if each.offset not in self.running])

    def ask(self, records: list[Record]) -> None:
        offsets = [each.offset for each in records]
        assert not self.log.owed.keys() & offsets
        assert not self.log.answered_since((0, 0)) & set(offsets)
        self.running += offsets

    def follow(self) -> None:
        for offset in self.log.answered_since(self.followed):
            self.state.note_answer(offset, None)
        self.followed = self.log.ends

    def commit(self, calls: dict[int, int]) -> None:
        offset, metadata = self.state.metadata(self.ends, self.log.now)
        text, left_out = dump(metadata.with_calls(calls))
        assert left_out == 0
        self.log.committed = offset, text


class World:
    """The owner of a partition, and its live former owners. Each step concerns one of them."""

    def __init__(self) -> None:
        self.log = Log()
        self.owner = Owner(self.log, set())

    def step(self, what: str, number: int) -> None:
        owed = sorted(self.log.owed)
        match what:
            case "kill":
                self.owner = Owner(self.log, set())
            case "hand over":
                self.on_revoked(set())
            case "back" if owed:
                self.on_revoked({owed[number % len(owed)]})
            case "owed" if owed:
                offset = owed[number % len(owed)]
                del self.log.owed[offset]
                self.log.answer(offset, number % 2)
            case "die" if owed:
                del self.log.owed[owed[number % len(owed)]]
            case "wait":
                self.wait(number)
            case _:
                self.owner.step(what, number)

    def on_revoked(self, own: set[int]) -> None:
        """Give the partition to another owner. `own` holds its calls in flight from an earlier assignment."""
        self.owner.commit(dict.fromkeys(self.owner.running, PATIENCE_S))
        self.log.owed |= dict.fromkeys(self.owner.running, self.log.now + PATIENCE_S)
        for offset in own:
            del self.log.owed[offset]
        self.owner = Owner(self.log, own)

    def wait(self, time_s: int) -> None:
        """Let time pass. Former owners give up expired calls, then the owner asks them."""
        self.log.now += time_s
        self.log.owed = {offset: until for offset, until in self.log.owed.items() if until > self.log.now}
        self.owner.follow()
        self.owner.ask(self.owner.state.expire(self.log.now))


STEPS = (*["take", "answer", "owed"] * 4, *["look", "follow", "commit", "hand over", "back"] * 2, "kill", "die", "wait")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_nothing_answered_or_in_flight_elsewhere_is_asked_again(seed: int) -> None:
    rng = random.Random(seed)
    world = World()
    for _ in range(120):
        world.step(rng.choice(STEPS), rng.randrange(12))
    owner, log = world.owner, world.log
    owner.take(max([owner.position, *log.answers[0], *log.answers[1], *log.owed, *owner.running]) + 1)
    world.wait(PATIENCE_S)
    assert owner.state.awaited == 0
    while owner.running:
        owner.step("answer", 0)
    answers = Counter(log.answers[0] + log.answers[1])
    assert set(answers.values()) <= {1}
    assert set(answers) == set(range(0, owner.position, 2))
    assert owner.state.metadata(log.ends, log.now)[0] == owner.position


def test_awaited_calls_are_named_with_their_time_until_answered() -> None:
    state = PartitionState(
        3, CommitMetadata((8,), {}), {4: ANY}, {2: 20.0, 4: 20.0, 5: 20.0, 7: 30.0, 9: 30.0}, own={9}
    )
    assert state.metadata((9,), 10.5) == (3, CommitMetadata((8,), {5: 10, 7: 20}))
    assert [each.offset for each in state.deliver({3: record(3), 4: record(4), 5: record(5)}, 6, (9,))] == [3]
    state.finish(3)
    state.finish(7)
    assert state.metadata((9,), 25.0) == (5, CommitMetadata((8,), {5: 0}))
    state.finish(5)
    assert state.metadata((9,), 25.0) == (6, CommitMetadata((8,), {}))
    assert state.deliver({7: record(7)}, 8, (9,)) == []
    assert state.deliver({9: record(9)}, 10, (9,)) == [record(9)]


def test_an_expired_call_is_to_be_asked_once_delivered() -> None:
    state = PartitionState(0, CommitMetadata((0,), {}), {}, {0: 10.0, 1: 20.0}, set())
    assert state.deliver({0: record(0)}, 1, (0,)) == []
    assert state.expire(9.9) == []
    assert state.expire(10.0) == [record(0)]
    assert state.expire(20.0) == []
    assert state.deliver({1: record(1)}, 2, (0,)) == [record(1)]
