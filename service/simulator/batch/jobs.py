"""Batch jobs: validation, processing line by line, and result files.

Nothing runs in the background: every request to the batch API first brings all batches up to date. A batch answers its
lines evenly over `batch_duration_s`; with 0, it answers all of them at the next request.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import anyio

from service.simulator.batch.files import Files
from service.simulator.batch.lines import DIALECTS, Fault, Line, answered, failed_line, read_lines, shuffled
from service.simulator.error_responses import Refusal, RefusedError
from service.simulator.state import Simulator
from service.simulator.text.word_tables import seeded

_UNDER_WAY = ("in_progress", "finalizing")
_ENDED = ("completed", "failed", "expired", "cancelled")
_WINDOW_S = 86_400
# Share of `batch_duration_s` after which the status is `finalizing`.
_NEARLY = 0.9
_LINES_A_TURN = 20

_EXPIRED = "This request could not be executed before the completion window expired."
_CANCELLED = "This request was not executed, because the batch was cancelled."


@dataclass(slots=True)
class StoredBatch:
    """A batch: its request, its progress and its results.

    `late` holds the custom ids of lines that expire, `done` the number of lines processed so far. `good` and `bad` are
    the lines of the output and error files, `moments` the times of status changes (Unix time) by their API field.
    """

    id: str
    endpoint: str
    input_file_id: str
    window: str
    metadata: Mapping[str, str] | None
    key: str | None
    status: str = "validating"
    lines: Sequence[Line] = ()
    late: frozenset[str] = frozenset()
    done: int = 0
    good: list[bytes] = field(default_factory=list)
    bad: list[bytes] = field(default_factory=list)
    faults: Sequence[Fault] = ()
    output_file_id: str | None = None
    error_file_id: str | None = None
    moments: dict[str, int] = field(default_factory=lambda: {"created_at": int(time.time())})
    began_s: float = field(default_factory=time.monotonic)
    busy: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.status in _ENDED

    def become(self, status: str) -> None:
        """Set the status, and the time of the change if it is a new one."""
        if status != self.status:
            self.status = status
            self.moments[f"{status}_at"] = int(time.time())

    def as_json(self) -> dict[str, object]:
        """Return the API's batch object."""
        errors = {"object": "list", "data": [asdict(fault) for fault in self.faults]} if self.faults else None
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": errors,
            "input_file_id": self.input_file_id,
            "completion_window": self.window,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "expires_at": self.moments["created_at"] + _WINDOW_S,
            **self.moments,
            "request_counts": {"total": len(self.lines), "completed": len(self.good), "failed": len(self.bad)},
            "metadata": self.metadata,
        }


class Batches:
    """All batches, in the order of their creation."""

    def __init__(self, simulator: Simulator, files: Files) -> None:
        self.by_id: dict[str, StoredBatch] = {}
        self._simulator = simulator
        self._files = files

    def create(
        self, endpoint: str, input_file_id: str, window: str, metadata: Mapping[str, str] | None, key: str | None
    ) -> StoredBatch:
        """Create a batch; its input file is validated at the next update."""
        batch = StoredBatch(f"batch_sim-{len(self.by_id) + 1}", endpoint, input_file_id, window, metadata, key)
        self.by_id[batch.id] = batch
        return batch

    def find(self, batch_id: str) -> StoredBatch:
        """Return the batch with this id.

        Raises:
            RefusedError: no batch has this id.
        """
        if batch_id not in self.by_id:
            raise RefusedError(Refusal(404, "invalid_request_error", f"No batch found with id '{batch_id}'."))
        return self.by_id[batch_id]

    def cancel(self, batch: StoredBatch) -> None:
        """Cancel a batch; its remaining lines will not be processed.

        Raises:
            RefusedError: the batch has ended.
        """
        if batch.ended:
            message = f"Cannot cancel a batch with status '{batch.status}'."
            raise RefusedError(Refusal(409, "invalid_request_error", message))
        batch.become("cancelling")

    async def bring_up_to_date(self) -> None:
        """Advance every batch to the state that the elapsed time calls for."""
        for batch in self.by_id.values():
            async with batch.busy:
                await self._advance(batch)

    async def _advance(self, batch: StoredBatch) -> None:
        if batch.status == "validating":
            self._check(batch)
        if batch.status in _UNDER_WAY:
            await self._work(batch)
        if batch.status == "cancelling":
            self._end(batch, "cancelled", "batch_cancelled", _CANCELLED)

    def _check(self, batch: StoredBatch) -> None:
        options = self._simulator.options
        stored = self._files.by_id.get(batch.input_file_id)
        model = options.model if options.strict_model else None
        lines, faults = read_lines(stored.content if stored else b"", batch.endpoint, model)
        if len(lines) > options.max_batch_requests:
            faults = [Fault("too_many_requests", f"A batch may have {options.max_batch_requests} requests.")]
        elif not faults and self._is_crowded(batch, lines):
            most = options.max_batch_tokens
            message = (
                f"Enqueued token limit reached. Limit: {most} enqueued tokens. Try again once some batches have ended."
            )
            faults = [Fault("token_limit_exceeded", message)]
        batch.faults = faults
        if not faults:
            batch.lines, batch.late = lines, self._late(batch, lines)
        batch.become("failed" if faults else "in_progress")

    def _is_crowded(self, batch: StoredBatch, lines: Sequence[Line]) -> bool:
        most = self._simulator.options.max_batch_tokens
        others = [other for other in self.by_id.values() if other.status in _UNDER_WAY]
        queued = sum(_tokens(other.endpoint, other.lines[other.done :]) for other in others) if most else 0
        return bool(most) and queued + _tokens(batch.endpoint, lines) > most

    def _late(self, batch: StoredBatch, lines: Sequence[Line]) -> frozenset[str]:
        """Draw the custom ids of the lines that expire."""
        options = self._simulator.options
        draw = seeded(options.seed, "batch", batch.id).random
        return frozenset(line.custom_id for line in lines if draw() < options.batch_expired_rate)

    async def _work(self, batch: StoredBatch) -> None:
        duration_s = self._simulator.options.batch_duration_s
        share = min(1.0, (time.monotonic() - batch.began_s) / duration_s) if duration_s else 1.0
        due = int(share * len(batch.lines))
        while batch.done < due:
            self._answer(batch, batch.lines[batch.done])
            batch.done += 1
            if batch.done % _LINES_A_TURN == 0:
                await anyio.lowlevel.checkpoint()
        if share == 1:
            self._end(batch, "expired" if batch.late else "completed", "batch_expired", _EXPIRED)
        elif share >= _NEARLY:
            batch.become("finalizing")

    def _answer(self, batch: StoredBatch, line: Line) -> None:
        if line.custom_id not in batch.late:
            answer = answered(self._simulator, line, batch.endpoint, batch.key)
            (batch.good if answer.is_good else batch.bad).append(answer.line)

    def _end(self, batch: StoredBatch, status: str, code: str, message: str) -> None:
        """Store the result files; each line that was not processed gets an error with this code and message."""
        undone = [line for line in batch.lines[: batch.done] if line.custom_id in batch.late]
        undone += batch.lines[batch.done :]
        batch.bad += [failed_line(line, code, message).line for line in undone]
        seed = self._simulator.options.seed
        if batch.good:
            batch.output_file_id = self._files.store(
                f"{batch.id}_output.jsonl", "batch_output", shuffled(batch.good, seed)
            ).id
        if batch.bad:
            batch.error_file_id = self._files.store(
                f"{batch.id}_error.jsonl", "batch_output", shuffled(batch.bad, seed)
            ).id
        batch.become(status)


def _tokens(endpoint: str, lines: Sequence[Line]) -> int:
    """Count the tokens that lines may use: prompts and `max_tokens`. Lines with an invalid body count as 0."""
    tokens = 0
    for line in lines:
        try:
            call = DIALECTS[endpoint].parse(line.body)
        except RefusedError:
            continue
        tokens += call.prompt_tokens + (call.max_tokens or 0)
    return tokens
