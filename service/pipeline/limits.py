"""Limits of a process: calls in flight, window, patience and drain time; and the place of its checkpoints."""

from msgspec import Struct

from service.checkpoints import NO_CHECKPOINTS, Checkpoints
from service.runtime.session import TimeLimits
from service.selfinstruct.steps import Step
from service.settings import Settings


class Limits(Struct, frozen=True):
    """Limits of a process. `patience` counts prompts without an accepted task.

    `calls_in_flight` are those of the stage that answers prompts. `drain_s` is the time for a stop, `call_s` the
    longest time of one attempt at a call.
    """

    calls_in_flight: int
    patience: int
    drain_s: float
    asked_window: int | None = None
    call_s: float = 120.0
    checkpoints: Checkpoints = NO_CHECKPOINTS

    @property
    def window(self) -> int:
        """Limit on prompts without a decision: `asked_window`, else twice the calls in flight, or 1 for one call."""
        if self.asked_window is not None:
            return self.asked_window
        return 1 if self.calls_in_flight == 1 else 2 * self.calls_in_flight

    @property
    def time_limits(self) -> TimeLimits:
        """Return the times for which calls in flight may go on."""
        return TimeLimits(self.drain_s, self.call_s)

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Return the limits from the settings; with the batch API nothing waits for calls.

        Batches continue on the server, and the next process finds them there.
        """
        longest_s = max(settings.of_step(step).lm_timeout_s for step in Step)
        drain_s, call_s = (0.0, 0.0) if settings.lm_batch else (settings.drain_s, longest_s)
        checkpoints = Checkpoints(settings.state_folder)
        calls = settings.of_step(Step.INSTRUCTIONS).calls_in_flight
        return cls(calls, settings.patience, drain_s, settings.window, call_s, checkpoints)
