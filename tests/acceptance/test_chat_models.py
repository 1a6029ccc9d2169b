"""Runs with the scripted chat model: finished tasks are the tasks that the model meant, and few tasks are lost."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from anyio.from_thread import start_blocking_portal

from service.selfinstruct.tasks import Reason
from tests.acceptance.invariants import check_at_any_moment
from tests.acceptance.ledger import read_ledger
from tests.acceptance.program import Ended, run
from tests.fakes.chat.checker import faults
from tests.fakes.chat.model import ChatModel
from tests.fakes.chat.server import MODEL_NAME, serve

pytestmark = pytest.mark.timeout(120)

_TARGET = 300
_LEAST_CLEAN = 0.99
_LEAST_USABLE = 0.95
_NOT_READ = {Reason.TRUNCATED, Reason.MALFORMED, Reason.REFUSAL, Reason.CHATTER, Reason.EMPTY, Reason.EMPTY_OUTPUT}


@contextmanager
def _served(model: ChatModel) -> Iterator[tuple[str, ...]]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serve(model)) as url:
        yield "--lm", "openai", "--lm-url", url, "--model", MODEL_NAME


def _status(folder: Path) -> dict[str, Any]:
    status: dict[str, Any] = orjson.loads(run(folder, "status", "--json").out)
    return status


def _faults(ended: Ended, model: ChatModel) -> Counter[str]:
    """Count the faults of finished tasks by kind, and the tasks with any fault under ``""``."""
    found: Counter[str] = Counter()
    for line in ended.lines:
        of_task = faults(orjson.loads(line), model)
        found.update([*of_task, *([""] if of_task else [])])
    return found


@pytest.mark.parametrize(
    ("form", "make"),
    [
        ("json", partial(ChatModel, 11, enforces_schema=True)),
        ("json", partial(ChatModel, 11)),
        ("text", partial(ChatModel, 11)),
        ("text", partial(ChatModel, 11, honours_stops=False)),
    ],
    ids=["schema enforced", "schema ignored", "stops honoured", "stops ignored"],
)
@pytest.mark.parametrize("recipe", ["self-instruct", "alpaca"])
def test_a_chat_models_tasks_are_clean(recipe: str, form: str, make: Callable[[], ChatModel], tmp_path: Path) -> None:
    model = make()
    with _served(model) as flags:
        # One call at a time gives the same prompts, and so the same replies, in each run.
        asked = ("--recipe", recipe, "--form", form, "--target", str(_TARGET), "--concurrency", "1")
        ended = run(tmp_path, "run", *asked, *flags)
    assert ended.code == 0, ended.err
    assert len(ended.lines) == _TARGET
    found = _faults(ended, model)
    assert found[""] <= _TARGET * (1 - _LEAST_CLEAN), found
    candidates = _status(tmp_path)["candidates"]
    unread = sum(count for reason, count in candidates["rejected"].items() if reason in _NOT_READ)
    written = sum(len(entry.meant.instructions) for entry in model.journal.entries)
    assert candidates["judged"] - unread >= written * _LEAST_USABLE, candidates
    assert model.journal.with_schema == (len(model.journal.entries) if form == "json" else 0)
    check_at_any_moment(read_ledger(tmp_path))


def test_the_api_decides_the_form_and_the_run_keeps_it(tmp_path: Path) -> None:
    model = ChatModel(12)
    with _served(model) as flags:
        first = run(tmp_path, "run", "--target", "5", *flags)
        assert (first.code, _status(tmp_path)["recipe"]["form"]) == (0, "json")
        again = run(tmp_path, "run", "--target", "10", "--form", "auto", *flags)
        assert again.code == 0, again.err
        other = run(tmp_path, "run", "--target", "15", "--form", "text", *flags)
    assert other.code == 2
    assert "form" in other.err


def test_a_run_warns_when_another_model_continues_it(tmp_path: Path) -> None:
    with _served(ChatModel(3)) as flags:
        first = run(tmp_path, "run", "--target", "2", *flags)
        again = run(tmp_path, "run", "--target", "40", *flags)
        other = run(tmp_path, "run", "--target", "80", *flags[:-1], "another")
    assert (first.code, again.code, other.code) == (0, 0, 0), other.err
    assert "beware" not in first.err + again.err
    assert "beware: the latest tasks of this run are by scripted-chat, and another is asked now" in other.err
