"""Client for the files and batches of one server.

Transient failures are retried for up to `patience_s`: a paid batch is not abandoned because the server restarts. A
permanent failure would hit every batch, so it is raised as `EndpointRefusedError`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Any, TypeVar

import anyio
import orjson
import structlog

from service.adapters.openai_batch.api_objects import (
    RUN,
    Batch,
    StoredFile,
    is_ours,
    read_batch,
    read_file,
    read_object,
    read_page,
)
from service.adapters.openai_batch.http_client import Call, Transport
from service.adapters.openai_batch.jsonl import Splitter
from service.adapters.openai_batch.options import BatchOptions
from service.adapters.openai_batch.upload_form import Upload
from service.lm.backoff import Backoff
from service.lm.errors import AttemptFailedError, CallFailedError, EndpointRefusedError, Refused

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

_Answer = TypeVar("_Answer")
_Entry = TypeVar("_Entry")

_LONGEST_ASKED_WAIT_S = 120.0
_BATCHES_A_PAGE = 100
_FILES_A_PAGE = 1000
# Azure processes an uploaded file for a while before a batch can use it.
_UNREADY = frozenset({"pending", "running"})
_BACKOFF = Backoff(base_s=1.0)


@dataclass(frozen=True, slots=True)
class BatchServer:
    """One server with a batch API. `sleep` and `random` are fields so that tests need not wait."""

    options: BatchOptions
    transport: Transport
    sleep: Callable[[float], Awaitable[object]] = anyio.sleep
    random: Random = field(default_factory=Random)

    async def upload(self, upload: Upload) -> str:
        """Upload an input file and return its id, once batches can use it.

        Raises:
            EndpointRefusedError: as for every method here, the server rejects the request or has been unavailable for
                too long.
        """
        stored = await self._patiently(partial(self._file, Call("POST", "files", upload=upload)))
        while stored.status in _UNREADY:
            await self.sleep(min(self.options.poll_s, 1.0))
            stored = await self._patiently(partial(self._file, Call("GET", f"files/{stored.id}")))
        if stored.status == "error":
            words = self.transport.shown(stored.status_details)
            raise EndpointRefusedError(
                f'Expected that a batch can be made of {stored.name}, but it cannot ("{words}").'
            )
        return stored.id

    async def create(self, file_id: str) -> Batch:
        """Create one batch from an input file; a retry first looks for a batch whose response was lost."""
        attempts = count()

        async def once() -> Batch:
            made = await self._made_of(file_id) if next(attempts) else None
            return made or await self._create(file_id)

        return await self._patiently(once)

    async def batch(self, batch_id: str) -> Batch:
        """Fetch the current state of a batch."""
        return await self._patiently(partial(self._batch, Call("GET", f"batches/{batch_id}")))

    async def batches(self, since: float) -> list[Batch]:
        """Return all batches created since a moment (Unix time), those of other runs included, newest first."""
        query = {"limit": str(_BATCHES_A_PAGE)}
        listed = await self._list("batches", query, read_batch, lambda batch: batch.created_at < since)
        return [batch for batch in listed if batch.created_at >= since]

    async def files(self, since: float) -> list[StoredFile]:
        """Return this run's input files created since a moment (Unix time), newest first."""
        query = {"limit": str(_FILES_A_PAGE), "purpose": "batch"}
        listed = await self._list("files", query, read_file, lambda stored: stored.created_at < since)
        return [stored for stored in listed if is_ours(stored.name, self.options.run) and stored.created_at >= since]

    async def delete(self, file_id: str) -> None:
        """Delete a file; it is no error if the file does not exist."""
        await self._patiently(partial(self.transport.exchange, Call("DELETE", f"files/{file_id}", may_miss=True)))

    async def read(self, file_id: str, take: Callable[[bytes], object]) -> bool:
        """Pass the lines of a file to `take` and return whether the file exists; a retried download repeats lines."""
        return await self._patiently(partial(self._download, file_id, take))

    async def _download(self, file_id: str, take: Callable[[bytes], object]) -> bool:
        splitter = Splitter()

        def cut(chunk: bytes) -> None:
            for line in splitter.lines(chunk):
                take(line)

        found = await self.transport.download(f"files/{file_id}/content", cut)
        cut(b"\n")
        return found

    async def _file(self, call: Call) -> StoredFile:
        return read_file(await self._object(call))

    async def _batch(self, call: Call) -> Batch:
        return read_batch(await self._object(call))

    async def _create(self, file_id: str) -> Batch:
        options = self.options
        wanted = {
            "input_file_id": file_id,
            "endpoint": options.path,
            "completion_window": options.window,
            "metadata": {RUN: options.run},
        }
        return await self._batch(Call("POST", "batches", body=orjson.dumps(wanted)))

    async def _made_of(self, file_id: str) -> Batch | None:
        """Return the batch of an input file if it is among the newest batches, else None."""
        listed = await self._list("batches", {"limit": str(_BATCHES_A_PAGE)}, read_batch, lambda _: True)
        return next((batch for batch in listed if batch.input_file_id == file_id), None)

    async def _list(
        self,
        path: str,
        query: Mapping[str, str],
        read: Callable[[Mapping[str, Any]], _Entry],
        is_last: Callable[[_Entry], bool],
    ) -> list[_Entry]:
        """Return the entries of a list page by page, until `is_last` is true of the last entry of a page."""
        found: list[_Entry] = []
        after: str | None = None
        while True:
            asked = query if after is None else {**query, "after": after}
            page = read_page(await self._patiently(partial(self._object, Call("GET", path, query=asked))), read)
            found += page.entries
            if page.next is None or page.next == after or (found and is_last(found[-1])):
                return found
            after = page.next

    async def _object(self, call: Call) -> dict[str, Any]:
        return read_object(await self.transport.exchange(call))

    async def _patiently(self, call: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Retry a call until it succeeds, is rejected, or the waits add up to `patience_s`."""
        waited_s = 0.0
        for retry in count():
            try:
                return await call()
            except CallFailedError as failure:
                raise EndpointRefusedError(f"{failure} Does this server have a batch API?") from failure
            except AttemptFailedError as failure:
                if waited_s >= self.options.patience_s:
                    message = f"Expected an answer within {waited_s:.0f} s and {retry + 1} attempts: {failure}"
                    raise EndpointRefusedError(message, Refused.AWAY) from failure
                wait_s = max(_BACKOFF.delay_s(retry, self.random), min(failure.after_s or 0.0, _LONGEST_ASKED_WAIT_S))
                logger.warning(
                    "lm.batch_retried", failing=failure.failing, reason=str(failure), wait_s=round(wait_s, 3)
                )
            await self.sleep(wait_s)
            waited_s += wait_s
        raise AssertionError  # count() never ends
