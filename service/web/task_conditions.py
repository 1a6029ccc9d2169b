"""The conditions on tasks that a query may have: the same ones for a page and for a stream."""

from typing import Annotated

from msgspec import Meta, Struct

from service.messaging.messages import Origin
from service.web.read_model.answers import Classification, TaskFilter, TaskOrder

Words = Annotated[str, Meta(max_length=500)]


class TaskConditions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conditions on finished tasks, all of which must hold. `q` are words of instruction, inputs and outputs."""

    q: Words | None = None
    classification: Classification | None = None
    origin: Origin | None = None
    topic: Words | None = None
    model: Words | None = None
    depth: Annotated[int, Meta(ge=0, le=2**31)] | None = None
    min_distance: Annotated[float, Meta(ge=0, le=1)] | None = None

    def in_order(self, order: TaskOrder) -> TaskFilter:
        """Return the filter that the tasks must meet, with the order in which they are listed."""
        return TaskFilter(
            text=self.q or None,
            classification=self.classification,
            origin=self.origin,
            topic=self.topic,
            model=self.model,
            depth=self.depth,
            min_distance=self.min_distance,
            order=order,
        )
