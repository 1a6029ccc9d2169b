"""A text is tokenised once on its way into the pool. A profiler counts the calls of the tokenizer."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import anyio
import pytest

from consumers.admit import Admit
from consumers.screen import Screen
from service.messaging.messages import PooledTask
from service.pool.batch import Input
from service.pool.hints import Hints, Use, is_audited
from service.selfinstruct.recipe import SELF_INSTRUCT
from service.selfinstruct.similarity import tokenize
from tests.support import examples

LETTER = "Write a letter to the mayor of your town"
ALIKE = "Write a letter to the mayor of your city"
RIVERS = "Name three rivers that flow through Europe"
SUM = "Add all the numbers from one to ten"
UNAUDITED = next(seq for seq in range(1_000) if not is_audited(seq))
AUDITED = next(seq for seq in range(1_000) if is_audited(seq))


@contextmanager
def tokenisations() -> Iterator[Counter[str]]:
    """Count the tokenisations of each text, in this thread and in threads that start meanwhile."""
    found: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is tokenize.__code__:
            found[frame.f_locals["text"]] += 1

    before = sys.getprofile()
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(before)
        threading.setprofile(before)


async def take(admit: Admit, *batch: Input) -> list[PooledTask]:
    """Judge a batch and restore its results, as the worker does; return the tasks that joined the pool."""
    results = [message for _, message in (await admit(batch)).results]
    for message in results:
        admit.restore(message)
    return [message for message in results if isinstance(message, PooledTask)]


def test_each_text_is_tokenised_once_until_it_is_in_the_pool() -> None:
    async def admit_all() -> list[str]:
        admit = Admit(SELF_INSTRUCT)
        pooled = await take(admit, examples.seed(0, LETTER))
        pooled += await take(admit, examples.answer(0, RIVERS, ALIKE), examples.answer(1, SUM))
        return [task.instruction for task in pooled]

    with tokenisations() as found:
        assert anyio.run(admit_all) == [LETTER, RIVERS, SUM]
    assert found == {LETTER: 1, RIVERS: 1, ALIKE: 1, SUM: 1}


@pytest.mark.parametrize(("seq", "use"), [(UNAUDITED, Use.USED), (AUDITED, Use.AUDITED)])
def test_a_text_with_a_hint_is_tokenised_once(seq: int, use: Use) -> None:
    hints = Hints(SELF_INSTRUCT.filters.rouge_threshold, lambda _: None)
    answer = examples.answer(seq, RIVERS, ALIKE)
    admit, screen = Admit(SELF_INSTRUCT, hints), Screen(SELF_INSTRUCT)

    async def follow() -> None:
        for task in await take(admit, examples.seed(0, LETTER)):
            screen.follow(task)

    anyio.run(follow)
    (hint,) = screen([answer])
    hints.take(hint)
    with tokenisations() as found:
        (pooled,) = anyio.run(take, admit, answer)
    assert pooled.instruction == RIVERS
    assert hints.tally == {use: 2}
    assert found == {RIVERS: 1, ALIKE: 1}
