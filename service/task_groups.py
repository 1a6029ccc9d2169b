"""Task groups that belong to a context manager, whose callers need not know of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def unwrapped_task_group() -> AsyncIterator[TaskGroup]:
    """Open a task group; an error that is the only one leaves the block as it is, without an exception group."""
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        raise group.exceptions[0] from group.exceptions[0].__cause__  # hides the group from the traceback
