"""The service does what its OpenAPI document says, as schemathesis tries it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.web.service import ADMIN, TOKENS

_ROOT = Path(__file__).parents[3]
_SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
_STARTS_WITHIN_S, _ENDS_WITHIN_S = 120, 400
# An answer without an end is none for a client that waits for it.
_ENDLESS = "followRun"


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve a folder with one run in a process of its own, and yield the URL."""
    tokens = folder / "tokens"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    program = (sys.executable, "-m", "service")
    log, environment = ("--broker", f"sqlite:{folder}"), {"PYTHONPATH": str(_ROOT), "PATH": os.defpath}
    made = (*program, "run", *log, "--run", "a", "--lm", "simulator", "--target", "5")
    subprocess.run(made, cwd=folder, env=environment, capture_output=True, check=True, timeout=_STARTS_WITHIN_S)
    command = (*program, "web", *log, "--web-port", "0", "--web-tokens", str(tokens))
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stderr is not None
            lines = iter(serving.stderr.readline, "")
            yield next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
        finally:
            serving.terminate()
            serving.communicate(timeout=60)
    assert serving.returncode == 0


@pytest.mark.http_fuzzing
@pytest.mark.timeout(_ENDS_WITHIN_S)
@pytest.mark.parametrize(("phases", "examples"), [("coverage,fuzzing", 5), ("stateful", 8)])
def test_the_document_is_true(tmp_path: Path, phases: str, examples: int) -> None:
    with _served(tmp_path) as url:
        tried = subprocess.run(
            [
                str(_SCHEMATHESIS),
                *("--config-file", str(Path(__file__).with_name("schemathesis.toml"))),
                "run",
                f"{url}openapi.json",
                *("--checks", "all", "--phases", phases, "--max-examples", str(examples), "--seed", "20261128"),
                *("-H", f"Authorization: Bearer {ADMIN}", "--exclude-operation-id", _ENDLESS),
                *("--generation-database", "none", "--no-color"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=_ENDS_WITHIN_S,
            check=False,
        )
    assert tried.returncode == 0, tried.stdout
