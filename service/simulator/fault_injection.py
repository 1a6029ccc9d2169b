"""Choice of the requests that fail: drawn by seed in order of arrival, or requested by the client in a header."""

from service.errors import ConfigurationError
from service.simulator.faults import FAILURES, forced
from service.simulator.options import SimulatorOptions
from service.simulator.text.word_tables import seeded

_PERCENT = 100


def check_failures(options: SimulatorOptions) -> None:
    """Raise unless every configured failure exists and `failure_types` names at least one.

    Raises:
        ConfigurationError: a name is unknown, or `failure_types` is empty; the message lists the known names.
    """
    for option, given in (("failure_types", options.failure_types), ("failure_rates", tuple(options.failure_rates))):
        unknown = [name for name in given if name not in FAILURES]
        if unknown or not options.failure_types:
            names, known = ", ".join(given) or "empty", ", ".join(FAILURES)
            raise ConfigurationError(f"simulator: {option} is {names}; expected some of {known}")


class Injection:
    """Draws failures; equal options give the same failures in the same order."""

    def __init__(self, seed: int):
        self._draws = seeded(seed, "failures")

    def failure(self, options: SimulatorOptions, header: str | None) -> str | None:
        """Return the name of the failure of the next request, None if it should succeed.

        Raises:
            BadRequestError: the header names an unknown failure.
        """
        if header is not None:
            return forced(header)
        own = [name for name, rate in options.failure_rates.items() if self._hits(rate)]
        if own:
            return self._draws.choice(own)
        rate = options.failure_injection_rate
        return self._draws.choice(options.failure_types) if rate and self._hits(rate) else None

    def _hits(self, percent: float) -> bool:
        return self._draws.random() * _PERCENT < percent
