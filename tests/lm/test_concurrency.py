import math
import random
from dataclasses import dataclass, field

import anyio
import pytest
from anyio import lowlevel
from hypothesis import given, settings
from hypothesis import strategies as st

from service.lm.concurrency import Slot, Slots
from service.lm.errors import EndpointRefusedError

pytestmark = pytest.mark.anyio


async def settled() -> None:
    """Let all tasks run until they block. A few turns come first, since waiting for blocked tasks may take 0.1 s."""
    for _ in range(8):
        await lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()


@dataclass
class Crowd:
    """Holders of slots. A test lets them come, wait, leave and be cancelled."""

    slots: Slots
    tasks: anyio.abc.TaskGroup
    order: list[str] = field(default_factory=list)
    holding: dict[str, anyio.Event] = field(default_factory=dict)
    scopes: dict[str, anyio.CancelScope] = field(default_factory=dict)

    def come(self, name: str, rank: int = 0) -> None:
        self.scopes[name] = anyio.CancelScope()
        self.tasks.start_soon(self._hold, name, rank)

    def leave(self, name: str) -> None:
        self.holding[name].set()

    async def do(self, what: str, name: str, rng: random.Random) -> None:
        """Take one step of a schedule. A new holder gets `name`."""
        match what:
            case "leave" if self.holding:
                self.leave(rng.choice(list(self.holding)))
            case "cancel" if self.scopes:
                self.scopes[rng.choice(list(self.scopes))].cancel()
            case "settle":
                await settled()
                assert len(self.holding) == self.slots.in_use == min(self.slots.total, len(self.scopes))
            case _:
                self.come(name, rng.randrange(3))

    async def _hold(self, name: str, rank: int) -> None:
        try:
            with self.scopes[name]:
                async with self.slots.hold(rank):
                    self.order.append(name)
                    self.holding[name] = anyio.Event()
                    assert len(self.holding) <= self.slots.total
                    try:
                        await self.holding[name].wait()
                    finally:
                        del self.holding[name]
        finally:
            del self.scopes[name]


async def test_the_next_slot_goes_to_the_lowest_rank_then_first_come() -> None:
    async with anyio.create_task_group() as tasks:
        crowd = Crowd(Slots(1), tasks)
        crowd.come("holder")
        await settled()
        for name, rank in (("late-a", 2), ("late-b", 2), ("early", 0), ("middle", 1)):
            crowd.come(name, rank)
            await settled()
        for _ in range(5):
            crowd.leave(crowd.order[-1])
            await settled()
    assert crowd.order == ["holder", "early", "middle", "late-a", "late-b"]


async def test_a_cancelled_waiter_takes_no_slot_with_it() -> None:
    async with anyio.create_task_group() as tasks:
        crowd = Crowd(Slots(1), tasks)
        for name in ("first", "gone", "next"):
            crowd.come(name)
            await settled()
        crowd.scopes["gone"].cancel()
        await settled()
        crowd.leave("first")
        await settled()
        assert list(crowd.holding) == ["next"]
        crowd.leave("next")
    assert crowd.slots.in_use == 0


async def test_a_waiter_cancelled_as_it_is_woken_passes_the_slot_on() -> None:
    async with anyio.create_task_group() as tasks:
        crowd = Crowd(Slots(1), tasks)
        for name in ("first", "woken", "next"):
            crowd.come(name)
            await settled()
        crowd.leave("first")
        while "first" in crowd.holding:
            await lowlevel.checkpoint()
        crowd.scopes["woken"].cancel()
        await settled()
        assert "next" in crowd.holding or "woken" in crowd.order
        for name in list(crowd.holding):
            crowd.leave(name)
        await settled()
        for name in list(crowd.holding):
            crowd.leave(name)
    assert crowd.slots.in_use == 0


async def test_an_error_of_a_holder_gives_its_slot_back() -> None:
    slots = Slots(1)
    with pytest.raises(ValueError, match="inside"):
        async with slots.hold(0):
            raise ValueError("inside")
    assert slots.in_use == 0


@settings(max_examples=60, deadline=None)
@given(total=st.integers(1, 3), seed=st.integers(0, 2**32))
async def test_no_schedule_of_holders_loses_or_makes_a_slot(total: int, seed: int) -> None:
    rng = random.Random(seed)
    async with anyio.create_task_group() as tasks:
        crowd = Crowd(Slots(total), tasks)
        for number in range(40):
            await crowd.do(rng.choice(["come", "come", "leave", "cancel", "settle"]), str(number), rng)
            for _ in range(rng.randrange(3)):
                await lowlevel.checkpoint()
        while crowd.scopes:
            for name in list(crowd.holding):
                crowd.leave(name)
            await lowlevel.checkpoint()
    assert crowd.slots.in_use == 0


async def test_a_holder_that_steps_aside_returns_before_other_waiters() -> None:
    slots, order = Slots(1), list[str]()
    back = anyio.Event()

    async def steps_aside() -> None:
        async with slots.hold(5) as slot:
            order.append("first")
            await slots.step_aside(slot, 0.0)
            assert not slot.aside
            order.append("first again")
            back.set()

    async def comes(name: str) -> None:
        async with slots.hold(0):
            order.append(name)
            await lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(steps_aside)
        for number in range(5):
            tasks.start_soon(comes, f"other {number}")
        with anyio.fail_after(5):
            await back.wait()
    assert order[0] == "first"
    assert order.index("first again") <= 3
    assert slots.in_use == 0


async def test_who_is_cancelled_while_aside_has_nothing_to_give_back() -> None:
    slots = Slots(1)

    async def steps_aside() -> None:
        async with slots.hold(0) as slot:
            await slots.step_aside(slot, 3600.0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(steps_aside)
        await settled()
        assert slots.in_use == 0
        tasks.cancel_scope.cancel()
    assert slots.in_use == 0


@pytest.mark.parametrize("turns", range(6))
async def test_who_is_dropped_on_the_way_back_gets_no_slot(turns: int) -> None:
    slots, held, outcomes = Slots(1), list[Slot](), list[bool]()

    async def steps_aside() -> None:
        async with slots.hold(0) as slot:
            held.append(slot)
            outcomes.append(await slots.step_aside(slot, 0.01))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(steps_aside)
        await settled()
        (slot,) = held
        due = anyio.current_time() + 0.02
        while anyio.current_time() < due:
            pass  # its wait is over by now, and the event loop has not seen it
        for _ in range(turns):
            await lowlevel.checkpoint()
        dropped = slot.aside
        if dropped:
            slots.close(slot, anyio.current_time())
    assert outcomes == [not dropped]
    assert slots.in_use == 0


async def test_no_rank_waits_for_ever() -> None:
    slots = Slots(1)
    served = anyio.Event()

    async def comes_again_and_again() -> None:
        while not served.is_set():
            async with slots.hold(0):
                await lowlevel.checkpoint()

    async def waits_for_long() -> None:
        async with slots.hold(9):
            served.set()

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(comes_again_and_again)
        tasks.start_soon(waits_for_long)
        with anyio.fail_after(5):
            await served.wait()


class Gate:
    """A gate that a test opens, now or after a while."""

    def __init__(self) -> None:
        self.places = 0
        self.opens_at_s = math.inf
        self.entries = 0
        self.asked = 0

    def admits(self, in_use: int) -> bool:
        self.asked += 1
        return in_use < (9 if anyio.current_time() >= self.opens_at_s else self.places)

    def entered(self, _slot: Slot) -> None:
        self.entries += 1

    def left(self, _slot: Slot) -> None:
        self.entries -= 1

    def opens_in_s(self) -> float:
        return max(0.0, self.opens_at_s - anyio.current_time())


async def test_a_gate_holds_back_within_the_total_until_reconsidered() -> None:
    gate = Gate()
    slots = Slots(2, gate)
    async with anyio.create_task_group() as tasks:
        crowd = Crowd(slots, tasks)
        for name in "abc":
            crowd.come(name)
        await settled()
        assert (crowd.order, slots.waiting) == ([], 3)
        gate.places = 9
        slots.reconsider()
        await settled()
        assert (crowd.order, gate.entries) == (["a", "b"], 2)
        tasks.cancel_scope.cancel()


async def test_a_gate_that_opens_by_itself_is_asked_in_time() -> None:
    gate = Gate()
    gate.opens_at_s = anyio.current_time() + 0.05
    slots = Slots(1, gate)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(slots.keep_time)
        with anyio.fail_after(5):
            async with slots.hold(0):
                tasks.cancel_scope.cancel()


async def test_a_gate_that_closes_under_full_slots_is_asked_in_time() -> None:
    gate = Gate()
    gate.places = 9
    slots = Slots(1, gate)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(slots.keep_time)
        crowd = Crowd(slots, tasks)
        crowd.come("a")
        crowd.come("b")
        await settled()
        gate.places, gate.opens_at_s, gate.asked = 0, anyio.current_time() + 0.05, 0
        crowd.leave("a")
        with anyio.fail_after(5):
            while "b" not in crowd.holding:
                await lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert gate.asked <= 5


async def test_a_failure_reaches_all_who_wait_and_all_who_come() -> None:
    slots, told = Slots(1), list[str]()

    async def waits(name: str) -> None:
        with pytest.raises(EndpointRefusedError, match="no more"):
            async with slots.hold(0):
                pass
        told.append(name)

    async with anyio.create_task_group() as tasks, slots.hold(0):
        for name in "ab":
            tasks.start_soon(waits, name)
        await settled()
        slots.fail(EndpointRefusedError("no more"))
        await waits("c")
    assert sorted(told) == ["a", "b", "c"]
    assert slots.in_use == 0


class OpensMeanwhile:
    """A gate that opens just after it has refused a number of times, and knows of no later time from then on."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals

    def admits(self, in_use: int) -> bool:
        self.refusals -= 1
        return self.refusals < 0

    def entered(self, slot: Slot) -> None:
        pass

    def left(self, slot: Slot) -> None:
        pass

    def opens_in_s(self) -> float:
        return 0.01 if self.refusals > 0 else math.inf


@pytest.mark.parametrize("refusals", range(8))
async def test_a_gate_that_opens_after_its_refusal_is_asked_again(refusals: int) -> None:
    slots = Slots(1, OpensMeanwhile(refusals))
    with anyio.fail_after(10.0):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slots.keep_time)
            async with slots.hold(0):
                tasks.cancel_scope.cancel()


async def test_answers_being_written_beyond_a_quarter_delay_new_calls() -> None:
    slots = Slots(4)
    async with anyio.create_task_group() as tasks:
        crowd = Crowd(slots, tasks)
        with slots.writing():
            for name in "abcd":
                crowd.come(name)
            await settled()
            assert len(crowd.holding) == 4
            crowd.leave("a")
            with slots.writing():
                crowd.come("e")
                await settled()
                assert len(crowd.holding) == 3
            await settled()
            assert len(crowd.holding) == 4
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("is_aside", [False, True])
async def test_who_steps_aside_after_its_slot_closed_gets_none(is_aside: bool) -> None:  # noqa: FBT001
    slots, outcomes = Slots(1), list[bool]()

    async def steps_aside(slot: Slot) -> None:
        outcomes.append(await slots.step_aside(slot, 3600.0))

    with anyio.fail_after(5):
        async with slots.hold(0) as slot, anyio.create_task_group() as tasks:
            if is_aside:
                tasks.start_soon(steps_aside, slot)
                await settled()
            slots.close(slot, anyio.current_time())
            if not is_aside:
                tasks.start_soon(steps_aside, slot)
    assert outcomes == [False]
    assert slots.in_use == 0


async def test_a_slot_that_opens_again_is_given_back_to_its_holder() -> None:
    slots = Slots(1)
    with anyio.fail_after(5):
        async with slots.hold(0) as slot:
            slots.close(slot, anyio.current_time())
            slots.close(slot, math.inf)
            assert await slots.step_aside(slot, 0.0)
