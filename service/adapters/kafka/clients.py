"""The life of aiokafka's producers: they start in bounded time, and stop at once where records cannot be delivered."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed

from service.adapters.kafka.aiokafka_workarounds import against_stray_cancellation, without_haste
from service.adapters.kafka.authorization import Right, refusal
from service.adapters.kafka.options import KafkaOptions
from service.errors import BrokerError
from service.messaging.broker import DEAD_LETTERS
from service.messaging.record_size import max_bytes_of

_MAX_BATCH_BYTES = 256 * 1024
_START_S = 60.0
_FLUSH_S = 5.0
_DROP_S = 5.0
_STEPS = (
    "_send_produce_req",
    "_do_add_partitions_to_txn",
    "_do_add_offsets_to_txn",
    "_do_txn_offset_commit",
    "_do_txn_commit",
)


class ProducerClient:
    """A producer of aiokafka whose background tasks can be ended.

    aiokafka's own `stop` waits for ever for records that cannot be delivered and for steps of a transaction, and raises
    the errors of those steps. Its sender ends without a word if one of its connections is cancelled under it.
    """

    def __init__(self, options: KafkaOptions, **more: Any) -> None:
        self.kafka = AIOKafkaProducer(
            acks="all",
            compression_type=options.compression,
            max_batch_size=_MAX_BATCH_BYTES,
            max_request_size=2 * max_bytes_of(DEAD_LETTERS, options.max_record_bytes),
            **options.client_options(),
            **more,
        )
        without_haste(self.kafka)
        self._options = options
        self._sender = self.kafka._sender  # noqa: SLF001 - see above
        self._steps: set[asyncio.Task[Any]] = set()
        for name in _STEPS:
            setattr(self._sender, name, self._noted(getattr(self._sender, name)))

    async def start(self, what: str, right: Right) -> None:
        """Get a producer id; `what` names the awaited response in errors, `right` is needed for it.

        Raises:
            NotAuthorizedError: the right is missing.
            BrokerError: there is no producer id; the client is stopped.
        """
        try:
            with anyio.fail_after(_START_S), against_stray_cancellation(what):
                await self.kafka.start()
        except BaseException as error:
            await self.drop()
            if isinstance(error, TimeoutError):
                raise BrokerError(
                    f"expected {what} within {_START_S:g} s, and none came; are there as many brokers as the "
                    "replication factor of Kafka's own topics (__transaction_state, __consumer_offsets) wants?"
                ) from error
            if isinstance(error, KafkaError):
                refused = refusal(error, self._options.security.principal, [right])
                raise refused or BrokerError(f"expected {what}: {error!r}") from error
            raise

    @property
    def failure(self) -> KafkaError | None:
        """The reason why nothing is sent any more, None while the background tasks work."""
        for task in self._background():
            if task.done():
                error = None if task.cancelled() else task.exception()
                return error if isinstance(error, KafkaError) else ProducerClosed(repr(error))
        return None

    def on_death(self, tell: Callable[[], None]) -> None:
        """Call `tell` when a background task ends: nothing is sent any more, and no future is resolved."""
        for task in self._background():
            task.add_done_callback(lambda _: tell())

    async def abort(self) -> None:
        """Abort a transaction, of which a step may have failed.

        aiokafka stores that failure in a future, too, and replaces it here; nobody else would ever retrieve it.
        """
        ending = self.kafka._txn_manager._transaction_waiter  # noqa: SLF001 - see above
        if ending.done() and not ending.cancelled():
            ending.exception()
        await self.kafka.abort_transaction()

    def _background(self) -> "tuple[asyncio.Task[None], ...]":
        return self._sender.sender_task, self.kafka.client._sync_task  # noqa: SLF001 - see above

    async def stop(self) -> None:
        """Stop in bounded time; records that cannot be delivered by then are dropped."""
        with anyio.CancelScope(shield=True):
            if self._sender.sender_task is not None and not self._sender.sender_task.done():
                with anyio.move_on_after(_FLUSH_S):
                    await self.kafka.flush()
            await self.drop()

    async def drop(self) -> None:
        """Stop at once: whatever is not acknowledged fails."""
        self.kafka._closed = True  # noqa: SLF001 - `stop` does not come back in this state
        self.kafka._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001 - as the sender does when it fails
        tasks = self._steps | ({self._sender.sender_task} - {None})
        for task in tasks:
            task.cancel()
        with anyio.CancelScope(shield=True), anyio.move_on_after(_DROP_S):
            if tasks:
                await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(KafkaError, OSError):
                await self.kafka.client.close()

    def _noted(self, step: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return a step of the sender, which runs it as a task of its own, so that the task is known here."""

        async def noted(*arguments: Any) -> Any:
            if (task := asyncio.current_task()) is not None:
                self._steps.add(task)
                task.add_done_callback(self._steps.discard)
            return await step(*arguments)

        return noted
