import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGTERM
from urllib.request import urlopen

import pytest

FLAGS = """
--port 0 --seed 7 --served-model-name mine --max-model-len 4096 --max-num-seqs 64 --max-waiting-queue-length 0
--time-to-first-token 250ms --time-to-first-token-std-dev 10ms --inter-token-latency 2ms
--inter-token-latency-std-dev 1ms --time-factor-under-load 1.5 --startup-duration 1m
--api-keys one --api-keys two --requests-per-minute 600 --tokens-per-minute 90000 --requests-at-once 32
--failure-injection-rate 3 --failure-types cut --failure-types rate_limit:5,internal_error:2
--retry-after-ms 1500 --timeout-duration 30s --batch-duration 2m --batch-expired-rate 0.1
--max-batch-requests 100 --max-batch-tokens 5000 --near-duplicate-rate 0.2
"""


@contextmanager
def started(flags: str) -> Iterator[str]:
    command = [sys.executable, "-m", "service", "simulator", *flags.split()]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().split()[-1]
        finally:
            process.send_signal(SIGTERM)
    assert process.returncode == 0


def test_every_flag_reaches_the_simulator() -> None:
    with started(FLAGS) as url, urlopen(url.removesuffix("/v1") + "/admin/config") as response:
        shown = json.load(response)
    expected = {
        "seed": 7,
        "served-model-name": "mine",
        "max-model-len": 4096,
        "max-num-seqs": 64,
        "max-waiting-queue-length": 0,
        "time-to-first-token": "250ms",
        "time-to-first-token-std-dev": "10ms",
        "inter-token-latency": "2ms",
        "inter-token-latency-std-dev": "1ms",
        "time-factor-under-load": 1.5,
        "startup-duration": "60s",
        "requests-per-minute": 600,
        "tokens-per-minute": 90000,
        "requests-at-once": 32,
        "failure-injection-rate": 3,
        "failure-types": ["cut"],
        "failure-rates": {"rate_limit": 5, "internal_error": 2},
        "retry-after": "1.5s",
        "retry-after-form": "ms",
        "timeout-duration": "30s",
        "batch-duration": "120s",
        "batch-expired-rate": 0.1,
        "max-batch-requests": 100,
        "max-batch-tokens": 5000,
        "near-duplicate-rate": 0.2,
    }
    assert shown | expected == shown


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--time-to-first-token soon", "time-to-first-token: expected a duration"),
        ("--failure-types gremlins", "gremlins; expected some of rate_limit"),
        ("--time-factor-under-load 2", "needs max_num_seqs"),
    ],
)
def test_an_invalid_flag_ends_the_command_before_it_serves(flags: str, says: str) -> None:
    command = [sys.executable, "-m", "service", "simulator", "--port", "0", *flags.split()]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 2
    assert says in " ".join(ended.stderr.split())
