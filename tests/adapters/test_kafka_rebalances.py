"""The listener that aiokafka calls at a rebalance ends the fetch of a poll under way."""

import anyio
import pytest
from aiokafka import TopicPartition

from service.adapters.kafka.rebalances import Rebalances

pytestmark = pytest.mark.anyio

_DEADLINE_S = 10.0
_LONG_S = 1e6
KEYS = [TopicPartition("t", 0)]


async def test_a_fetch_ends_when_partitions_are_revoked() -> None:
    rebalances = Rebalances()
    with anyio.fail_after(_DEADLINE_S):
        async with anyio.create_task_group() as tasks:
            with rebalances.interrupting(_LONG_S):
                tasks.start_soon(rebalances.on_partitions_revoked, KEYS)
                await anyio.sleep_forever()
            assert rebalances.revoking is not None
            rebalances.revoked()


async def test_no_fetch_begins_while_partitions_are_to_be_taken_over() -> None:
    rebalances = Rebalances()
    await rebalances.on_partitions_assigned(KEYS)
    with anyio.fail_after(_DEADLINE_S), rebalances.interrupting(_LONG_S):
        await anyio.sleep_forever()
    assert rebalances.gained is not None
    rebalances.taken(rebalances.gained)
    with rebalances.interrupting(_LONG_S):
        await anyio.lowlevel.checkpoint()
        fetched = True
    assert fetched


async def test_a_fetch_that_takes_too_long_ends() -> None:
    with anyio.fail_after(_DEADLINE_S), Rebalances().interrupting(0.0):
        await anyio.sleep_forever()
