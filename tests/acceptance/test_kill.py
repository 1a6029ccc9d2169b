"""A run that is killed twenty times at random moments loses nothing, repeats no task, and pays for no call twice."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from signal import SIGKILL

import pytest

from service.errors import BrokerError
from service.messaging.messages import FinishedTask
from service.simulator.journal import Entry
from tests.acceptance.invariants import check, check_at_any_moment
from tests.acceptance.ledger import Ledger, read_ledger
from tests.acceptance.model import Model, simulated
from tests.acceptance.program import Ended, Program, run, start

pytestmark = [pytest.mark.kill, pytest.mark.timeout(240)]

_KILLS = 20
_TARGET = 300
_CONCURRENCY = 4
_SETTINGS = {"PARTITIONS": "3"}


@dataclass(slots=True)
class Killed:
    """The records on the log, and the number of calls for each prompt, after a process had been killed."""

    recorded: set[str]
    asked: Counter[str]


@dataclass(slots=True)
class Story:
    """A run that was killed repeatedly, and the processes that continued it."""

    killed: list[Killed] = field(default_factory=list)
    printed: list[bytes] = field(default_factory=list)


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_twenty_kills_lose_nothing_and_pay_nothing_twice(api: str, tmp_path: Path) -> None:
    rng, story = Random("kill"), Story()
    with simulated(seed=3, time_to_first_token_s=0.03, time_to_first_token_std_dev_s=0.015) as model:
        flags = model.chat_flags if api == "chat" else model.flags
        command = ("run", "--target", str(_TARGET), "--concurrency", str(_CONCURRENCY), *flags)
        for _ in range(_KILLS):
            with start(tmp_path, *command, settings=_SETTINGS) as program:
                ended = _kill_somewhere(program, rng)
            _note(story, ended, model, tmp_path)
        last = run(tmp_path, *command, settings=_SETTINGS)
        requests = model.wait_until_idle()
    assert last.code == 0, last.err
    story.printed += last.lines
    ledger = read_ledger(tmp_path)
    check(ledger, _TARGET)
    _check_the_bill(story, requests, ledger)
    _check_what_was_printed(story, ledger)


def _kill_somewhere(program: Program, rng: Random) -> Ended:
    """Kill a process while it starts, after some of its lines, or a moment after that."""
    match rng.choice(("starting", "printing", "printing", "working")):
        case "starting":
            program.live_for(rng.uniform(0.1, 2.0))
        case "printing":
            program.wait_for_lines(rng.randint(1, 8))
        case _:
            program.wait_for_lines(rng.randint(1, 4))
            program.live_for(rng.uniform(0.0, 0.1))
    ended = program.kill()
    assert ended.code == -SIGKILL, "it reached its target before it could be killed"
    return ended


def _note(story: Story, ended: Ended, model: Model, folder: Path) -> None:
    requests = model.wait_until_idle()
    story.printed += ended.lines
    try:
        ledger = read_ledger(folder)
    except BrokerError:
        assert not any(killed.recorded for killed in story.killed)  # killed before there was a log
        story.killed.append(Killed(set(), _asked(requests)))
        return
    check_at_any_moment(ledger)
    story.killed.append(Killed(set(ledger.completed_prompts()), _asked(requests)))


def _check_the_bill(story: Story, requests: list[Entry], ledger: Ledger) -> None:
    asked = _asked(requests)
    for killed in story.killed:
        assert {sha: asked[sha] for sha in killed.recorded} == {sha: killed.asked[sha] for sha in killed.recorded}
    recorded = set(ledger.completed_prompts())
    assert asked.total() - len(recorded) <= _KILLS * _CONCURRENCY
    assert recorded <= asked.keys()
    of_the_last = asked - story.killed[-1].asked
    assert of_the_last.keys() <= recorded  # the last process drained its calls in flight


def _check_what_was_printed(story: Story, ledger: Ledger) -> None:
    """Check that every task of the log was printed, by one process or by several, and nothing else."""
    on_log = {(record.value or b"") + b"\n" for record, _ in ledger.entries[FinishedTask]}
    assert set(story.printed) == on_log


def _asked(requests: list[Entry]) -> Counter[str]:
    return Counter(each.prompt_sha256 for each in requests if each.prompt_sha256 is not None)
