"""Commands import what they use. The modules are those of a process of its own, after its commands have ended."""

import os
import subprocess
import sys
from importlib import import_module
from inspect import cleandoc
from pathlib import Path

import pytest
import typer.main

from service.__main__ import app
from service.pipeline.role import Role
from tests.support.commands import invoke

_ROOT = Path(__file__).parents[2]
_DEADLINE_S = 60.0
_RUNNING = """
import sys
from service.__main__ import app
for arguments in sys.argv[1:]:
    try:
        app(arguments.split(), standalone_mode=False)
    except SystemExit:
        pass
print("loaded", *sys.modules, file=sys.stderr)
"""
_BUILDING = """
import sys
from service.cli import worker
from service.messaging.messages import RunDefined
from service.pipeline import stages
from service.run.definition import AskedRun
from service.selfinstruct.steps import Step
from service.settings import load_settings
definition = AskedRun(load_settings({"lm_api": "completions"})).new[0]
match sys.argv[1]:
    case "generate":
        stages.calling_stage(Step.INSTRUCTIONS, definition, None)
    case "finish":
        stages.finishing(None, definition, lambda: 1)
print("loaded", *sys.modules, file=sys.stderr)
"""
_TRUSTING = """
import gc, ssl, sys
import service.bootstrap.open_model
contexts = [each for each in gc.get_objects() if isinstance(each, ssl.SSLContext)]
found = ["aiohttp" for each in contexts] + ["certificates" for each in contexts if each.get_ca_certs()]
print("loaded", *found, file=sys.stderr)
"""
_KAFKA = {"aiokafka", "service.adapters.kafka"}
_HTTP = {"aiohttp", "prometheus_client", "service.simulator", "service.adapters.openai", "service.adapters.llamacpp"}
_JUDGING = {"numpy", "numba", "rapidfuzz", "rouge_score", "service.selfinstruct.similarity", "service.adapters.minilm"}
_REPLIES = {
    "service.selfinstruct.chat_parsing",
    "service.selfinstruct.chat_instances",
    "service.selfinstruct.replies.verdicts",
}
_WORK = {"producers.prompts", "consumers.generate", "consumers.admit", "service.pipeline.stages"}
_LOG = {"service.adapters.sqlite", "service.messaging.codec", "service.run.definition"}
_EVERYTHING_ELSE = {"anyio", "asyncio", "pydantic", "rich", "structlog", "service.settings", "service.cli.options"}


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Run Python code in a process of its own. Return the names of the modules that it has loaded."""
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"PATH": os.defpath, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stderr.rpartition("loaded ")[2].split())


def test_help_and_version_import_no_command() -> None:
    loaded = loaded_by(_RUNNING, "--help", "--version")
    assert loaded & (_KAFKA | _HTTP | _JUDGING | _WORK | _EVERYTHING_ELSE) == set()


def test_the_help_of_a_command_does_not_import_what_it_runs() -> None:
    loaded = loaded_by(_RUNNING, "run --help", "web --help", "preview --help", "check --help", "seeds add --help")
    assert loaded & (_KAFKA | _HTTP | _JUDGING | _WORK | _LOG | {"rich", "sqlite3", "service.web"}) == set()


def test_commands_import_what_they_use(tmp_path: Path) -> None:
    where = f"--broker sqlite:{tmp_path}"
    assert loaded_by(_RUNNING, f"run --lm simulator --target 1 {where}") & {"numpy", "service.web"} == set()
    loaded = loaded_by(
        _RUNNING,
        f"run --lm simulator --target 1 {where}",
        f"status {where}",
        f"watch {where}",
        f"cost {where}",
        f"explain p0 {where}",
        f"export {where}",
        f"consume --until-end {where}",
        f"goal --target 6 {where}",
        f"replay {where}",
        f"config {where}",
    )
    assert loaded & (_KAFKA | _HTTP | _JUDGING | _WORK | {"service.web"}) == set()


def test_asking_a_model_imports_no_display_and_no_readers() -> None:
    asking = _RUNNING.replace("print(", "from service.cli import checks, run_with_model\nprint(")
    assert loaded_by(asking, "run --help") & ({"rich"} | _REPLIES) == set()


def test_no_certificates_are_loaded_before_they_are_needed() -> None:
    assert loaded_by(_TRUSTING) == {"aiohttp"}


@pytest.mark.parametrize(
    ("role", "unneeded"),
    [
        (Role.GENERATE, _JUDGING | _REPLIES),
        (Role.FINISH, _JUDGING | {"aiohttp", "consumers.generate", "consumers.admit"}),
    ],
)
def test_a_worker_imports_the_stages_of_its_roles(role: Role, unneeded: set[str]) -> None:
    assert loaded_by(_BUILDING, role) & (unneeded | {"service.simulator", "service.adapters.llamacpp"}) == set()


def test_the_list_of_commands_says_what_their_own_help_says() -> None:
    for name, listed in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        alone = invoke(name, "--help")
        assert alone.exit_code == 0
        assert " ".join(cleandoc(listed.help).split()) in " ".join(alone.output.split())
        assert import_module(f"service.cli.{name if name != 'watch' else 'status'}")
