"""Knowledge of a group member about itself: until when its group is sure to take it for alive.

The coordinator counts a member's session from the moment in which a request of it arrives. That is later than the
moment in which the member sent it, from which the session is counted here. aiokafka has no public time of its last
heartbeat, so its requests to the coordinator are watched.
"""

import math
import time
from typing import Any

from aiokafka.errors import (
    IllegalGenerationError,
    NoError,
    UnknownMemberIdError,
    for_code,
)
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

# It counts the time during which the machine sleeps, as the group does; there is none on macOS.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class GroupSession:
    """The session of one member, renewed by heartbeats and by joining a generation."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._renewed_s = -math.inf

    @property
    def is_open(self) -> bool:
        """Whether the group cannot have expelled this member for silence."""
        return time.clock_gettime(_CLOCK) - self._renewed_s < self._timeout_s

    def watch(self, coordinator: Any) -> None:
        """Observe the requests of aiokafka's coordinator client, and their outcomes."""
        send = coordinator._send_req  # noqa: SLF001 - see above

        async def observed(request: Any) -> Any:
            sent_s = time.clock_gettime(_CLOCK)
            response = await send(request)
            if isinstance(request, HeartbeatRequest | SyncGroupRequest):
                self._note(for_code(response.error_code), sent_s)
            return response

        coordinator._send_req = observed  # noqa: SLF001 - see above

    def _note(self, outcome: type[Exception], sent_s: float) -> None:
        if outcome is NoError:
            self._renewed_s = max(self._renewed_s, sent_s)
        elif outcome in (UnknownMemberIdError, IllegalGenerationError):
            self._renewed_s = -math.inf
