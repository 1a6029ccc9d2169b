"""Task groups whose callers need not know of them."""

import anyio
import pytest

from service.errors import BrokerError, ConfigurationError
from service.task_groups import unwrapped_task_group

pytestmark = pytest.mark.anyio


async def fail() -> None:
    raise BrokerError("the task")


async def test_the_only_error_of_a_task_leaves_the_block_as_it_is() -> None:
    with pytest.raises(BrokerError, match="the task"):
        async with unwrapped_task_group() as tasks:
            tasks.start_soon(fail)


async def test_the_only_error_of_the_block_keeps_its_cause() -> None:
    cause = ValueError("the reason")
    with pytest.raises(BrokerError, match="the block") as raised:
        async with unwrapped_task_group():
            raise BrokerError("the block") from cause
    assert raised.value.__cause__ is cause


async def test_several_errors_stay_a_group() -> None:
    with pytest.RaisesGroup(BrokerError, ConfigurationError):
        async with unwrapped_task_group() as tasks:
            tasks.start_soon(fail)
            try:
                await anyio.sleep_forever()
            finally:
                raise ConfigurationError("the block")
