"""`instances` → `tasks`, `control`: tasks with instances are finished, up to exactly the target."""

from collections.abc import Callable, Sequence

from service.checkpoints import Fold, State
from service.errors import RecordsGoneError
from service.messaging import topics
from service.messaging.messages import FinishedTask, Message, NumberedTask, RunEnded, TaskInstances, subject_of
from service.messaging.task_ids import TaskIdSet
from service.runtime.stage import Outcome


class Finish:
    """Numbers finished tasks densely: every instruction at most once, exactly as many as the target.

    `target` returns the present target. The record of the last task and the run's end are one transaction.
    """

    name = "finish"
    source = topics.INSTANCES
    restores = (topics.NUMBERED,)
    fold = Fold("finish", 2)

    def __init__(self, run: str, target: Callable[[], int]) -> None:
        self._run = run
        self._target = target
        self._finished = TaskIdSet()
        self._numbered = 0

    def wants_more(self) -> bool:
        """Return whether the target has not been reached."""
        return len(self._finished) < self._target()

    def restore(self, message: Message) -> None:
        """Remember a finished task."""
        if isinstance(message, NumberedTask):
            self._finished.add(message.id)
            self._numbered = max(self._numbered, message.task_seq + 1)

    def snapshot(self) -> State:
        """Return the finished tasks."""
        values = {"others": list(self._finished.others), "numbered": self._numbered}
        return State(values, self._finished.snapshot("finished"))

    def resume(self, state: State) -> None:
        """Take the tasks that `snapshot` returned."""
        self._finished.restore("finished", state.arrays, state.values["others"])
        self._numbered = state.values["numbered"]

    def check_restored(self) -> None:
        """Raise unless the finished tasks are numbered without gaps: new ones would take numbers again.

        Raises:
            RecordsGoneError: tasks are missing.
        """
        if len(self._finished) != self._numbered:
            raise RecordsGoneError(
                f"{topics.TASKS.of(self._run)}: the last task is number {self._numbered - 1}, and there are only "
                f"{len(self._finished)}: the others are gone. Restore the topic from a backup, or begin another run"
            )

    async def __call__(self, batch: Sequence[TaskInstances]) -> Outcome:
        """Return the finished tasks of a batch, up to the target."""
        target = self._target()
        results: list[tuple[int, Message]] = []
        taken: set[str] = set()
        repeated = 0
        for place, message in enumerate(batch):
            known = message.id in self._finished or message.id in taken
            repeated += known and message.call is not None
            if message.rejection is None and not known:
                results.append((place, finished_task(message, len(self._finished) + len(taken))))
                taken.add(message.id)
            if len(self._finished) + len(taken) >= target:
                return Outcome([*results, (place, RunEnded.target_reached(self._run, target))], place + 1, repeated)
        return Outcome(results, len(batch), repeated)


def finished_task(message: TaskInstances, task_seq: int) -> FinishedTask:
    """Return the finished task that follows from these instances, with this number."""
    return FinishedTask(
        **subject_of(message),
        task_seq=task_seq,
        is_classification=message.is_classification,
        instances=message.instances,
        topic=message.provenance.topic,
        instances_model=_other_model(message),
    )


def _other_model(message: TaskInstances) -> str | None:
    """Return the model that wrote the instances, unless it wrote the instruction too."""
    if message.call is None or message.call.model == message.provenance.model:
        return None
    return message.call.model
