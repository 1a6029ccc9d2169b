from hypothesis import given
from hypothesis import strategies as st

from service.runtime.offset_tracker import OffsetTracker

# The steps of a partition, in order. The number makes the choices within a step.
STEPS = st.lists(st.tuples(st.sampled_from(["deliver", "finish", "marker", "again"]), st.integers(0, 9)), max_size=40)


class Partition:
    """The true state of a partition: its position, its records and the unfinished ones. Offsets have gaps."""

    def __init__(self, start: int) -> None:
        self.tracker = OffsetTracker(start)
        self.position = start
        self.running: list[int] = []
        self.known: set[int] = set()

    def step(self, what: str, number: int) -> None:
        match what:
            case "deliver":
                self.deliver([self.position + gap for gap in (number % 3, number % 3 + 2)], number // 3)
            case "marker":
                self.deliver([], number)
            case "again":
                back = max(0, len(self.running) - number)
                self.redeliver(sorted(self.running)[back:])
            case "finish" if self.running:
                offset = self.running.pop(number % len(self.running))
                self.tracker.finish(offset)

    def deliver(self, offsets: list[int], markers: int) -> None:
        self.position = max([self.position, *(offset + 1 for offset in offsets)]) + markers
        assert self.tracker.deliver(offsets, self.position) == offsets
        self.running += offsets
        self.known |= set(offsets)

    def redeliver(self, offsets: list[int]) -> None:
        """Read again from the lowest of these offsets, as after a rebalance that kept the partition assigned."""
        if not offsets:
            return
        known = sorted(offset for offset in self.known if offset >= offsets[0])
        for count in (1, len(known)):
            assert self.tracker.deliver(known[:count], known[count - 1] + 1) == []

    def check(self) -> None:
        expected = min(self.running) if self.running else self.position
        assert self.tracker.watermark == expected


@given(start=st.integers(0, 5), steps=STEPS)
def test_the_watermark_is_the_lowest_unfinished_or_the_position(start: int, steps: list[tuple[str, int]]) -> None:
    partition = Partition(start)
    partition.check()
    for what, number in steps:
        partition.step(what, number)
        partition.check()


@given(st.permutations(range(8)))
def test_the_watermark_reaches_the_position_in_any_order(order: list[int]) -> None:
    tracker = OffsetTracker(0)
    tracker.deliver([2 * offset for offset in range(8)], 21)
    for offset in order:
        assert tracker.watermark <= 2 * offset
        tracker.finish(2 * offset)
    assert tracker.watermark == 21


def test_new_records_delivered_with_known_ones_are_recognised() -> None:
    tracker = OffsetTracker(3)
    assert tracker.deliver([3, 4], 5) == [3, 4]
    assert tracker.deliver([3, 4, 6], 7) == [6]
    tracker.finish(3)
    assert tracker.watermark == 4


def test_a_marker_moves_the_watermark_of_an_idle_partition() -> None:
    tracker = OffsetTracker(3)
    assert tracker.deliver([], 5) == []
    assert tracker.watermark == 5


def test_to_finish_an_offset_again_changes_nothing() -> None:
    tracker = OffsetTracker(0)
    tracker.deliver([0, 1, 2], 3)
    for offset in (1, 1, 0, 0, 1):
        tracker.finish(offset)
    assert (tracker.watermark, tracker.position) == (2, 3)
