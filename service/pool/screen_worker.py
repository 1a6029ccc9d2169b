"""Runs one of several screens: takes candidates a little ahead of the filter and writes hints on them.

A screen stores nothing but the pool and needs no transaction: a hint that is written twice, late or never changes no
verdict. The filter does not wait for hints.

Each prompt belongs to one screen: the owner of a partition has the prompts whose ids hash to it. The group is on the
dead letter topic of `hints`, which has as many partitions as `hints` and is empty.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

import anyio
from anyio import to_thread

from service.errors import DecodeError
from service.messaging import codec
from service.messaging.broker import Broker, Partition, Producer, Reader, Record
from service.messaging.interrupted_polls import InterruptedPolls
from service.messaging.messages import Answer, PooledTask, ScreenedCandidates
from service.messaging.topic_reader import Tail
from service.messaging.topics import CANDIDATES, HINTS, POOL
from service.pool.lookahead import Lookahead

_WAIT_S = 0.2
_POLL_S = 1.0
_SHARE_POLL_S = 2.0
_BATCH = 100
# Farther ahead, too much is added to the pool before the filter arrives.
_MOST_AHEAD = 2_000
_WEIGHT = 0.3


class Screener(Protocol):
    """Compares candidates with the pool."""

    def follow(self, task: PooledTask, /) -> None:
        """Add the next task of the pool."""
        ...

    def __call__(self, answers: Sequence[Answer], /) -> list[ScreenedCandidates]:
        """Return the hint on each answer."""
        ...


class Screening:
    """One screen of a run. `written` counts its hints."""

    def __init__(self, screen: Screener, broker: Broker, run: str) -> None:
        self.written = 0
        self._screen = screen
        self._broker = broker
        self._run = run
        self._source = Partition(CANDIDATES.of(run), 0)
        self._filter = f"seedstream.{run}.admit"
        self._lead = Lookahead()
        self._round_s = 0.0
        # Nothing is left to screen; once the filter has decided it all as well, it need not be asked how far it is.
        self._at_end = False
        self._width = 1
        self._owned: frozenset[int] = frozenset()

    async def run(self, stop: anyio.Event, ready: anyio.Event) -> None:
        """Write hints until `stop` is set; `ready` is set once the pool has been read."""
        self._width = await self._broker.partitions(HINTS.of(self._run))
        async with anyio.create_task_group() as sharing:
            sharing.start_soon(self._share)
            async with (
                Tail.of(self._broker, self._run, (POOL,)) as pool,
                self._broker.reader([self._source]) as reader,
                self._broker.producer() as producer,
                InterruptedPolls.until(stop) as polls,
            ):
                async for record in pool.to_end():
                    self._follow(pool, record)
                reader.seek(self._source, await self._decided())
                ready.set()
                while not stop.is_set():
                    answers = await self._next(reader, polls)
                    began_s = anyio.current_time()
                    await self._catch_up(pool)
                    if answers:
                        await self._write(answers, producer)
                        self._learn_time(anyio.current_time() - began_s)
            sharing.cancel_scope.cancel()

    async def _share(self) -> None:
        """Be a member of the group that divides the prompts."""
        name = HINTS.dead_letters_of(self._run)
        group = f"seedstream.{self._run}.screen"
        async with self._broker.group_member(group, [name], self._keep_on, self._own) as member:
            while True:
                await member.poll(0, _SHARE_POLL_S)

    async def _keep_on(self, _: frozenset[Partition]) -> None:
        pass

    async def _own(self, owned: frozenset[Partition]) -> None:
        self._owned = frozenset(partition.number for partition in owned)

    async def _catch_up(self, pool: Tail) -> None:
        while records := await pool.records(0.0):
            for record in records:
                self._follow(pool, record)

    def _follow(self, pool: Tail, record: Record) -> None:
        if isinstance(task := pool.own(record), PooledTask):
            self._screen.follow(task)

    async def _decided(self) -> int:
        """Return the offset up to which the filter has decided all."""
        committed = await self._broker.committed(self._filter, self._source)
        return committed.offset if committed is not None else 0

    async def _next(self, reader: Reader, polls: InterruptedPolls) -> list[tuple[Record, Answer]]:
        """Return the next answers to screen, or none for now."""
        now_s = anyio.current_time()
        position = reader.position(self._source)
        if not self._at_end or self._lead.offset < position:
            self._lead.note(await self._decided(), now_s)
        if not self._owned or position > self._lead.offset + _MOST_AHEAD:
            with anyio.move_on_after(_WAIT_S):
                await polls.stop.wait()
            return []
        first = self._lead.begin(now_s, self._round_s)
        records = await polls.poll(partial(reader.poll, max(0, first - position) + _BATCH, _POLL_S))
        self._at_end = not records
        return list(self._mine(record for record in records if record.offset >= first))

    def _learn_time(self, taken_s: float) -> None:
        self._round_s += _WEIGHT * (taken_s - self._round_s) if self._round_s else taken_s

    def _mine(self, records: Iterable[Record]) -> Iterator[tuple[Record, Answer]]:
        """Yield the answers that belong to this screen; the filter reports unreadable ones."""
        for record in records:
            if zlib.crc32(record.key or b"") % self._width in self._owned:
                with suppress(DecodeError):
                    message = codec.decode(CANDIDATES, record)
                    if isinstance(message, Answer):
                        yield record, message

    async def _write(self, answers: Sequence[tuple[Record, Answer]], producer: Producer) -> None:
        hints = await to_thread.run_sync(self._screen, [answer for _, answer in answers])
        causes = [record for record, _ in answers]
        await producer.send([codec.encode(hint, self._run, cause) for hint, cause in zip(hints, causes, strict=True)])
        self.written += len(hints)
