"""The program that `local` starts: llama.cpp's HTTP server, until standard input ends.

A process of its own, because xllamacpp holds Python's global lock while it loads a model (a second for SmolLM2, more
for a large one), which would stop the event loop and every deadline with it; and because a crash of llama.cpp stays
outside. It is run as a file and imports nothing of Seedstream; it reads one JSON line (what to serve) and answers with
one (where, or why not).
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
    """Serve until the parent closes our standard input, or is gone."""
    answers = _take_standard_output()
    wanted = json.loads(sys.stdin.readline())
    try:
        server = xllamacpp.Server(_parameters(wanted))
    except RuntimeError as error:
        _answer(answers, {"error": str(error)})
        return
    _answer(answers, {"address": server.listening_address})
    sys.stdin.read()
    del server  # stops it and joins its threads


def _take_standard_output() -> int:
    """Keep standard output for the one answer; whatever else is printed goes to standard error."""
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
    parameters.api_keys = [wanted["api_key"]]  # other users of this machine, and web pages, stay outside
    parameters.n_parallel = wanted["slots"]
    parameters.n_ctx = wanted["slots"] * wanted["context_per_slot"]
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = wanted["threads"]
    parameters.cache_ram_mib = wanted["prompt_cache_mib"]
    parameters.endpoint_slots = parameters.ui = False
    parameters.verbosity = _TALKATIVE if wanted["verbose"] else _QUIET
    return parameters


if __name__ == "__main__":
    main()
