"""Third-party servers: the server of llama.cpp, and the mock server `fakellm` from PyPI."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.messaging.messages import Answer, FinishedTask
from tests.acceptance.invariants import check
from tests.acceptance.ledger import read_ledger
from tests.acceptance.model import eventually
from tests.acceptance.program import Program, run, start

pytestmark = pytest.mark.timeout(240)

_LOCAL_RUN_S = 600.0  # a model on this machine shares its cores with whatever else runs there

_SUBJECTS = (
    "a river that freezes early in winter",
    "the smell of fresh bread",
    "two neighbours who share one garden",
    "why candles flicker",
    "a lighthouse keeper's last night",
    "how bridges carry weight",
    "an honest apology to a friend",
    "the rules of a card game for three",
    "what bees do when it rains",
    "a speech for a retiring teacher",
    "the oldest tree of a village",
    "choosing shoes for a long walk",
)


def reply() -> str:
    """Return a reply to Alpaca's prompt: whole tasks, numbered from 4 on, the first without its heading."""
    tasks = [f"Instruction: Write a few lines about {each}.\n4. Input:\n<noinput>" for each in _SUBJECTS[:1]]
    lines = [f" {tasks[0].removeprefix('Instruction: ')}\n4. Output:\nHere they are."]
    for number, subject in enumerate(_SUBJECTS[1:], start=5):
        lines.append(f"{number}. Instruction: Explain to a child {subject}.\n{number}. Input:\n<noinput>")
        lines[-1] += f"\n{number}. Output:\nAn answer about {subject}."
    return "\n###\n".join(lines)


def rule(model: str, **respond: Any) -> dict[str, Any]:
    return {"name": model, "when": {"model_matches": model}, "respond": respond}


_RULES = {
    "rules": [
        rule("works", content=reply()),
        rule("refused", status=401, error="invalid key"),
        rule("overloaded", status=503, error="overloaded"),
        rule("picky", status=400, error="unknown field"),
    ]
}


@contextmanager
def fakellm(folder: Path) -> Iterator[str]:
    """Serve the rules on a free port."""
    (folder / "fakellm.yaml").write_text(json.dumps(_RULES))  # JSON is YAML
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    command: list[str | Path] = [
        Path(sys.executable).with_name("fakellm"),
        "serve",
        "--port",
        str(port),
        "--config",
        "fakellm.yaml",
    ]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: _listens(port))
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _flags(url: str, model: str) -> tuple[str, ...]:
    return ("run", "--recipe", "alpaca", "--lm", "openai", "--lm-url", url, "--model", model, "--concurrency", "4")


def test_a_mock_server_serves_a_run_and_the_bill_is_its_usage(tmp_path: Path) -> None:
    with fakellm(tmp_path) as url:
        ended = run(tmp_path, *_flags(url, "works"), "--target", "10")
    assert ended.code == 0, ended.err
    ledger = read_ledger(tmp_path)
    check(ledger, 10)
    assert all(answer.call.usage is not None for answer in ledger.all(Answer))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("refused", "Check the API key"),
        ("overloaded", "has answered no call lately"),
        ("picky", "No call of this kind is answered"),
    ],
)
def test_a_refusing_mock_server_ends_the_run_with_one_message(model: str, said: str, tmp_path: Path) -> None:
    with fakellm(tmp_path) as url:
        ended = run(tmp_path, *_flags(url, model), "--target", "10", settings={"LM_GONE_S": "1"})
    assert ended.code == 5, ended.err
    assert said in ended.err
    assert ended.err.count("lm.closed") == 1


@pytest.mark.local_model
@pytest.mark.kill
@pytest.mark.timeout(800)
def test_llama_cpp_is_killed_with_its_run_and_both_resume(tmp_path: Path) -> None:
    command = ("run", "--lm", "local", "--target", "3", "--concurrency", "2")
    with start(tmp_path, *command) as program:
        _wait_for_the_first_answer(program, tmp_path)
        program.kill()
    answers = len(read_ledger(tmp_path).all(Answer))
    with start(tmp_path, *command) as program:
        ended = program.end(_LOCAL_RUN_S)
    assert ended.code == 0, ended.err
    ledger = read_ledger(tmp_path)
    check(ledger, 3)
    assert len(ledger.all(Answer)) >= answers >= 1
    assert len(ledger.all(FinishedTask)) == 3


def _wait_for_the_first_answer(program: Program, folder: Path) -> None:
    program.wait_for_word("run.progress")
    eventually(lambda: bool(read_ledger(folder).all(Answer)), 120.0)
