"""Options for gathering questions into batches and for waiting on the server."""

import math
from dataclasses import dataclass, fields

from service.adapters.openai.options import OpenAIOptions
from service.errors import ConfigurationError

_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """One model behind one batch API, used for one run.

    A batch is sent when no question has come for `linger_s` or `max_requests` are waiting. It has at most
    `max_requests` requests and `max_bytes` bytes (the defaults are OpenAI's limits). Batches are polled at intervals of
    at most `poll_s`. `window` is the completion window in the server's notation. Batches older than `history_days` are
    not searched for answers. A file of this run that no batch uses is deleted once it is older than `orphan_age_s`:
    until then another process may be about to use it. Calls to a server that does not answer are retried for
    `patience_s`.
    """

    openai: OpenAIOptions
    run: str
    linger_s: float = 5.0
    max_requests: int = 50_000
    max_bytes: int = 200 * _MEGABYTE
    poll_s: float = 60.0
    window: str = "24h"
    history_days: float = 7.0
    orphan_age_s: float = 3600.0
    patience_s: float = 1800.0

    def __post_init__(self) -> None:
        """Raise unless the run has a printable name and every number is in its range.

        Raises:
            ConfigurationError: an option is invalid; the message names it.
        """
        if not self.run or not self.run.isprintable():
            raise ConfigurationError(f"A batch carries the name of its run in one line, and {self.run!r} came.")
        for name in (option.name for option in fields(self) if isinstance(option.default, int | float)):
            value: float = getattr(self, name)
            least = 1 if name.startswith("max_") else 0
            if not least <= value < math.inf:
                raise ConfigurationError(f"batch: {name} is {value}; expected a number from {least}")

    @property
    def path(self) -> str:
        """The URL path that each request line names, independent of the server's base URL."""
        return "/v1/chat/completions" if self.openai.api == "chat" else "/v1/completions"
