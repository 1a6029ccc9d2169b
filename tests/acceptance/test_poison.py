"""A record that nobody can read stops neither a run nor those who look at it."""

from pathlib import Path

import anyio

from service import topics
from service.adapters.sqlite import SqliteBroker
from service.broker import Isolation, NewRecord, Partition
from tests.acceptance.program import run, run_side_by_side

POISONED = (topics.CANDIDATES, topics.INSTRUCTIONS, topics.CLASSIFIED, topics.INSTANCES)


def test_a_poisoned_run_goes_on_to_its_target_and_keeps_the_dead_letters(tmp_path: Path) -> None:
    assert run(tmp_path, "run", "--lm", "simulator", "--target", "5").code == 0
    anyio.run(_poison, tmp_path / "runs" / "default.sqlite3")
    ended = run(tmp_path, "run", "--lm", "simulator", "--target", "60")
    assert (ended.code, len(ended.out.splitlines())) == (0, 55)
    assert anyio.run(_dead_letters, tmp_path / "runs" / "default.sqlite3") == [1, 1, 1, 1]
    looked = run_side_by_side(tmp_path, ("status", "--json"), ("explain", "p0.0"), ("export",))
    assert [each.code for each in looked] == [0, 0, 0]


async def _poison(file: Path) -> None:
    async with SqliteBroker.open(file) as broker, broker.producer() as producer:
        await producer.send([NewRecord(topic.of("default"), b"\xff not JSON", key=b"poison") for topic in POISONED])


async def _dead_letters(file: Path) -> list[int]:
    counts = []
    async with SqliteBroker.open(file, read_only=True) as broker:
        for topic in POISONED:
            partition = Partition(topic.dead_letters_of("default"), 0)
            async with broker.reader([partition]) as reader:
                while reader.position(partition) < await broker.end_offset(partition, Isolation.READ_COMMITTED):
                    counts.append(len(await reader.poll(10, 1.0)))
    return counts
