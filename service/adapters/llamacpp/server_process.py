"""The program that `endpoint` starts: llama.cpp's HTTP server, until standard input ends.

It is a separate process for two reasons. xllamacpp holds Python's GIL while it loads a model (a second for SmolLM2,
more for a large one), which would stop the event loop and all of its timeouts. And a crash of llama.cpp does not end
the caller. The program is run as a file and imports nothing of Seedstream. It reads one JSON line (the configuration)
and answers with one (the address or an error).
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import xllamacpp

_QUIET = -1
_TALKATIVE = 3


def main() -> None:
    """Serve until the parent process closes our standard input or is gone."""
    answers = _take_standard_output()
    wanted = json.loads(sys.stdin.readline())
    try:
        server = xllamacpp.Server(_parameters(wanted))
    except RuntimeError as error:
        _answer(answers, {"error": str(error)})
        return
    _answer(answers, {"address": server.listening_address})
    sys.stdin.read()
    del server  # stops the server and joins its threads


def _take_standard_output() -> int:
    """Reserve standard output for the answer, and redirect all other output to standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _answer(answers: int, answer: dict[str, str]) -> None:
    os.write(answers, json.dumps(answer).encode() + b"\n")
    os.close(answers)


def _parameters(wanted: dict[str, Any]) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = wanted["model_file"]
    parameters.model_alias = {Path(wanted["model_file"]).stem}
    parameters.api_keys = [wanted["api_key"]]  # keeps out other users of this machine, and web pages
    parameters.n_parallel = wanted["slots"]
    parameters.n_ctx = wanted["slots"] * wanted["context_per_slot"]
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = wanted["threads"]
    parameters.cache_ram_mib = wanted["prompt_cache_mib"]
    parameters.endpoint_slots = parameters.ui = False
    parameters.verbosity = _TALKATIVE if wanted["verbose"] else _QUIET
    return parameters


if __name__ == "__main__":
    main()
