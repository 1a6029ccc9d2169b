"""A limit on open streams, in all and for each token."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from service.web.problems import ProblemError
from service.web.server.access import Caller

_RETRY = {"Retry-After": "10"}


class StreamSlots:
    """The slots of open streams."""

    def __init__(self, total: int, per_token: int) -> None:
        self._total = total
        self._per_token = per_token
        self._taken: Counter[bytes] = Counter()

    @property
    def open_streams(self) -> int:
        """Number of streams that are open now."""
        return self._taken.total()

    @contextmanager
    def taken(self, caller: Caller) -> Iterator[None]:
        """Hold a slot inside the block.

        Raises:
            ProblemError: the caller has too many streams open (429), or all together have (503).
        """
        if self._taken.total() >= self._total:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"expected at most {self._total} open streams (web_streams), and there are as many: close one",
                headers=_RETRY,
            )
        if caller.digest and self._taken[caller.digest] >= self._per_token:
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"expected at most {self._per_token} open streams of a token (web_streams_per_token), and "
                f"{caller.name} has as many: close one",
                headers=_RETRY,
            )
        self._taken[caller.digest] += 1
        try:
            yield
        finally:
            self._taken[caller.digest] -= 1
