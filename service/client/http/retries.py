"""How long a client waits before it connects again, and when it gives up."""

from random import Random

import anyio

from service.client.http.connection import ServiceError
from service.lm.backoff import Backoff, wait_before_retry_s

BACKOFF = Backoff(base_s=0.5, cap_s=15.0)


class Retries:
    """Failures since the last success; after `give_up_s` seconds of them, an error is final. `None` is never."""

    def __init__(self, give_up_s: float | None, backoff: Backoff) -> None:
        self._give_up_s = give_up_s
        self._backoff = backoff
        self._failures = 0
        self._first_s = 0.0
        self._random = Random()  # noqa: S311 - spreads clients

    def succeeded(self) -> None:
        """Forget the failures so far."""
        self._failures = 0

    def wait_s(self, error: ServiceError) -> float:
        """Return the wait after a failure.

        Raises:
            ServiceError: the failure will not pass, or it is time to give up.
        """
        now_s = anyio.current_time()
        if not self._failures:
            self._first_s = now_s
        if not error.may_pass or (self._give_up_s is not None and now_s - self._first_s >= self._give_up_s):
            raise error
        wait_s = wait_before_retry_s(self._backoff.delay_s(self._failures, self._random), error.retry_after_s)
        self._failures += 1
        return wait_s
