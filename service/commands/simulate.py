"""`seedstream simulator`: the stand-in for a language model, as a server of its own."""

import re
from signal import SIGINT, SIGTERM
from typing import Annotated

import anyio
import typer

from service.errors import ConfigurationError
from service.simulator import SimulatorOptions, serve

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}

Duration = Annotated[str, typer.Option(metavar="DURATION")]
_NONE = "0s"


def simulator(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    seed: Annotated[int, typer.Option(help="Answers are a function of this and the prompt.")] = 0,
    served_model_name: Annotated[str, typer.Option(help="The model's name.")] = SimulatorOptions().model,
    max_num_seqs: Annotated[int, typer.Option(help="Completions at once; 0 for no limit.")] = 0,
    max_waiting_queue_length: Annotated[int, typer.Option(help="Requests that may wait; the next gets 429.")] = 1000,
    time_to_first_token: Duration = _NONE,
    inter_token_latency: Duration = _NONE,
    startup_duration: Duration = _NONE,
    failure_injection_rate: Annotated[float, typer.Option(help="Percent of requests that fail.")] = 0.0,
    failure_types: Annotated[list[str] | None, typer.Option(help="Which failures: rate_limit, server_error.")] = None,
    near_duplicate_rate: Annotated[float, typer.Option(help="Share of candidates near a shown task.")] = (
        SimulatorOptions().near_duplicate_rate
    ),
) -> None:
    """Serve the simulator until it is interrupted: it answers with text of the shape that each stage expects.

    It is a stand-in for load and fault tests: its text has no meaning, and its model name says what it is.
    """
    defaults = SimulatorOptions()
    chosen = SimulatorOptions(
        seed=seed,
        model=served_model_name,
        max_num_seqs=max_num_seqs,
        max_waiting_queue_length=max_waiting_queue_length,
        time_to_first_token_s=_seconds(time_to_first_token),
        inter_token_latency_s=_seconds(inter_token_latency),
        startup_duration_s=_seconds(startup_duration),
        failure_injection_rate=failure_injection_rate,
        failure_types=tuple(failure_types) if failure_types else defaults.failure_types,
        near_duplicate_rate=near_duplicate_rate,
    )
    anyio.run(_serve, chosen, host, port)


async def _serve(chosen: SimulatorOptions, host: str, port: int) -> None:
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        async with serve(chosen, host=host, port=port) as running:
            typer.echo(f"{chosen.model} at {running.url}", err=True)
            async for _ in signals:
                return


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"expected a duration such as 250ms, 2s or 1m, got {text!r}")
    return float(match[1]) * _SECONDS[match[2]]
