"""A live stream of a run's finished tasks, for other programs.

    from service.client import open_tasks

    async with open_tasks("kafka://localhost:9092", "default", start="now") as tasks:
        async for task in tasks:
            print(task.instruction)

By default, each reader gets all tasks from the beginning, and no offsets are committed. The members of a `group` share
the partitions of the stream and continue at the group's committed offsets. A member stays in its group and takes part
in rebalances whatever its consumer does, for as long as the stream is open.

A task is done when the next one is requested, or when `done` is called before that. `commit` commits the offsets of
done tasks for the group; with `auto_commit`, that happens every second, when the group rebalances, and at the end. A
task that was delivered and not committed is delivered again, to the next owner of its partition after a crash or a
rebalance. Delivery is therefore at least once.
"""

from service.client.membership import Share, ends_of
from service.client.opening import open_stream, open_tasks
from service.client.subscription import Start, Subscription
from service.client.tasks import Delivery, Tasks
from service.messaging.messages import FinishedTask

__all__ = [
    "Delivery",
    "FinishedTask",
    "Share",
    "Start",
    "Subscription",
    "Tasks",
    "ends_of",
    "open_stream",
    "open_tasks",
]
