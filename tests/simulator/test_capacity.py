import asyncio
from dataclasses import replace

import anyio
import pytest

from service.simulator import SimulatorOptions
from service.simulator.capacity import Capacity, latency_s
from service.simulator.error_responses import RefusedError
from tests.simulator.client import HELD, PROMPT, connected, until

pytestmark = pytest.mark.anyio

ONE = SimulatorOptions(max_num_seqs=1)


async def hold(capacity: Capacity, entered: list[int], number: int, end: anyio.Event) -> None:
    async with capacity:
        entered.append(number)
        await end.wait()


async def test_slots_are_given_in_order_of_arrival() -> None:
    capacity, entered, ends = Capacity(ONE), list[int](), [anyio.Event() for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        for number, end in enumerate(ends):
            tasks.start_soon(hold, capacity, entered, number, end)
            await anyio.wait_all_tasks_blocked()
        for number, end in enumerate(ends):
            assert (entered, capacity.running) == ([*range(number + 1)], 1)
            end.set()
            await anyio.wait_all_tasks_blocked()
    assert (capacity.running, capacity.waiting) == (0, 0)


async def test_new_slots_are_filled_at_once_and_surplus_ones_drain() -> None:
    capacity, entered, ends = Capacity(ONE), list[int](), [anyio.Event() for _ in range(5)]
    async with anyio.create_task_group() as tasks:
        for number, end in enumerate(ends):
            tasks.start_soon(hold, capacity, entered, number, end)
        await anyio.wait_all_tasks_blocked()
        capacity.resize(SimulatorOptions(max_num_seqs=3))
        await anyio.wait_all_tasks_blocked()
        assert (entered, capacity.waiting) == ([0, 1, 2], 2)
        capacity.resize(SimulatorOptions(max_num_seqs=2))
        assert capacity.running == 3
        ends[0].set()
        await anyio.wait_all_tasks_blocked()
        assert (entered, capacity.running) == ([0, 1, 2], 2)
        ends[1].set()
        await anyio.wait_all_tasks_blocked()
        assert entered == [0, 1, 2, 3]
        capacity.resize(SimulatorOptions())
        await anyio.wait_all_tasks_blocked()
        assert (entered, capacity.running) == ([0, 1, 2, 3, 4], 3)
        for end in ends:
            end.set()
    assert (capacity.running, capacity.waiting) == (0, 0)


async def test_the_slot_of_a_cancelled_request_goes_to_the_next() -> None:
    capacity, entered, end = Capacity(ONE), list[int](), anyio.Event()
    async with anyio.create_task_group() as tasks:
        async with capacity:
            leaving = await tasks.start(_leave, capacity)
            tasks.start_soon(hold, capacity, entered, 2, end)
            await anyio.wait_all_tasks_blocked()
        leaving.cancel()
        await anyio.wait_all_tasks_blocked()
        assert (entered, capacity.running) == ([2], 1)
        end.set()
    assert capacity.running == 0


async def _leave(capacity: Capacity, *, task_status: anyio.abc.TaskStatus[asyncio.Task[object]]) -> None:
    """Wait until cancelled as aiohttp cancels a handler. A slot may become free in the same iteration."""
    task = asyncio.current_task()
    assert task is not None
    task_status.started(task)
    with pytest.raises(asyncio.CancelledError):
        await capacity.__aenter__()


async def test_a_server_of_64_without_a_queue_refuses_the_65th() -> None:
    options = replace(HELD, max_num_seqs=64, max_waiting_queue_length=0)
    async with connected(options) as client:
        capacity = client.simulator.capacity
        async with anyio.create_task_group() as clients:
            for _ in range(64):
                clients.start_soon(client.complete, PROMPT)
            await until(lambda: capacity.running == 64)
            refused = await client.complete(PROMPT)
            clients.cancel_scope.cancel()
        await until(lambda: capacity.running == 0)
    assert refused.status == 429
    assert client.simulator.journal.totals.most_at_once == 64


async def test_a_full_queue_refuses_the_next_request() -> None:
    capacity = Capacity(SimulatorOptions(max_num_seqs=1, max_waiting_queue_length=0))
    async with capacity:
        with pytest.raises(RefusedError, match="too many requests at once"):
            async with capacity:
                pass
    assert capacity.running == 0


def test_a_completion_takes_longer_under_load() -> None:
    options = SimulatorOptions(time_to_first_token_s=1, max_num_seqs=11, time_factor_under_load=3)
    assert [latency_s(options, "", 1, running) for running in (1, 6, 11, 20)] == [1, 2, 3, 3]


def test_one_request_on_one_slot_is_full_load() -> None:
    options = SimulatorOptions(inter_token_latency_s=1, max_num_seqs=1, time_factor_under_load=2)
    assert latency_s(options, "", 5, 1) == 8
