"""Limits of one process: calls at once, and waiting times."""

from dataclasses import dataclass

from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls at once, and the time that passes without success, or at a stop, before it gives up."""

    calls_in_flight: int
    patience: int
    drain_s: float
    asked_window: int | None = None

    @property
    def window(self) -> int:
        """Prompts without a decision: enough to keep all calls busy; one by one if that is what is asked for."""
        if self.asked_window is not None:
            return self.asked_window
        return 1 if self.calls_in_flight == 1 else 2 * self.calls_in_flight

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Return the limits that the settings ask for."""
        drain_s = 0.0 if settings.lm_batch else settings.drain_s  # batches go on, and are found again
        return cls(settings.calls_in_flight, settings.patience, drain_s, settings.window)
