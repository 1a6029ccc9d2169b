"""Limits of a process: calls in flight, window, patience and drain time."""

from dataclasses import dataclass

from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a process. `patience` counts prompts without an accepted task; `drain_s` is the time for a stop."""

    calls_in_flight: int
    patience: int
    drain_s: float
    asked_window: int | None = None

    @property
    def window(self) -> int:
        """Limit on prompts without a decision: `asked_window`, else twice the calls in flight, or 1 for one call."""
        if self.asked_window is not None:
            return self.asked_window
        return 1 if self.calls_in_flight == 1 else 2 * self.calls_in_flight

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Return the limits from the settings; `drain_s` is 0 with the batch API, where batches survive a stop."""
        drain_s = 0.0 if settings.lm_batch else settings.drain_s  # batches continue on the server and are found again
        return cls(settings.calls_in_flight, settings.patience, drain_s, settings.window)
