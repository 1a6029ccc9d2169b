"""The state of a running simulator: options, journal, capacity, limits and charges."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.errors import ConfigurationError
from service.lm.usage import Usage
from service.simulator.capacity import Capacity
from service.simulator.error_responses import LOADING, WRONG_KEY, RefusedError
from service.simulator.fault_injection import Injection, check_failures
from service.simulator.journal import Journal
from service.simulator.limits import KeyLimits
from service.simulator.options import SimulatorOptions

# Options that are read once, at the start.
FIXED = frozenset({"seed", "startup_duration_s", "journal_size"})
_SHOWN_OF_DIGEST = 16


class Simulator:
    """A running simulator. `charged` counts the tokens of all completions, including those that clients never got."""

    def __init__(self, options: SimulatorOptions):
        check_failures(options)
        self.options = options
        self.journal = Journal(options.journal_size)
        self.capacity = Capacity(options)
        self.limits = KeyLimits(options)
        self.injection = Injection(options.seed)
        self.charged = Usage(0, 0)
        self.url = ""
        self._ready_at = time.monotonic() + options.startup_duration_s

    def reconfigure(self, **changes: Any) -> None:
        """Change options while requests run; apply all of the changes or none.

        Raises:
            ConfigurationError: an option does not exist, is fixed at the start, or may not have this value.
        """
        fixed = FIXED & changes.keys()
        if fixed:
            raise ConfigurationError(f"simulator: {', '.join(sorted(fixed))} cannot be changed while it runs")
        try:
            options = replace(self.options, **changes)
        except TypeError as cause:
            raise ConfigurationError(f"simulator: expected names of options, got {', '.join(changes)}") from cause
        check_failures(options)
        self.options = options
        self.capacity.resize(options)
        self.limits.change(options)

    def admit(self, headers: Mapping[str, str]) -> str | None:
        """Check the API key of a request and return its digest, None if the request has no key.

        Raises:
            RefusedError: the model is still loading, or the key is not in `api_keys`.
        """
        self.check_ready()
        key = headers.get("Authorization", "").removeprefix("Bearer ") or headers.get("api-key")
        if self.options.api_keys and key not in self.options.api_keys:
            raise RefusedError(WRONG_KEY)
        return digest(key) if key else None

    def check_ready(self) -> None:
        """Raise `RefusedError` while the model is loading."""
        if time.monotonic() < self._ready_at:
            raise RefusedError(LOADING)


def digest(key: str) -> str:
    """Return the first 16 hex digits of a key's SHA-256, by which the journal identifies it."""
    return hashlib.sha256(key.encode()).hexdigest()[:_SHOWN_OF_DIGEST]
