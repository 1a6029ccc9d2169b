"""The reasons why a stream ends before its client leaves: the service ends, the run's log fails, the token is gone."""

from http import HTTPStatus

import anyio

from service.web.problems import ProblemError
from service.web.runs import LiveRun
from service.web.server.access import Caller, Tokens
from service.web.server.drain import Drain
from service.web.streams.sending import Sender
from service.web.streams.stream import TaskStream

# A client that does not read must not hold up the end of the service.
_LAST_PATIENCE_S = 2.0


async def end_at_drain(drain: Drain, stream: TaskStream, sender: Sender) -> None:
    """End a stream when the service is about to end."""
    await drain.begins()
    stream.end_soon(None)
    sender.hurry(_LAST_PATIENCE_S)


async def end_with_run(live: LiveRun, stream: TaskStream) -> None:
    """End a stream with an error when its run is no longer followed."""
    await live.closed.wait()
    stream.end_soon(
        ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "the log of the run can no longer be read; come again")
    )


async def end_with_token(tokens: Tokens, caller: Caller, stream: TaskStream, look_s: float) -> None:
    """End a stream with an error when its token is no longer valid, which is looked for every `look_s` seconds."""
    if not tokens.are_needed:
        return
    while tokens.caller_of(caller.digest) is not None:  # noqa: ASYNC110 - the file of tokens tells nobody
        await anyio.sleep(look_s)
    stream.end_soon(ProblemError(HTTPStatus.UNAUTHORIZED, f"the token of {caller.name} is no longer valid"))
