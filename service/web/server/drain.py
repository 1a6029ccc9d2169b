"""The end of the service: long answers end first, short requests finish."""

import anyio


class Drain:
    """Whether the service is about to end."""

    def __init__(self) -> None:
        self._begun = anyio.Event()

    @property
    def has_begun(self) -> bool:
        """Whether no new work should come here."""
        return self._begun.is_set()

    def begin(self) -> None:
        """Let streams end, and report that the service is not ready."""
        self._begun.set()

    async def begins(self) -> None:
        """Wait until the service is about to end."""
        await self._begun.wait()
