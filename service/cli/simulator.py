"""`seedstream simulator`: a server that stands in for a language model."""

from dataclasses import dataclass
from signal import SIGINT, SIGTERM
from typing import Annotated, Any

import anyio
import typer

from service.cli import options
from service.errors import ConfigurationError
from service.simulator import SimulatorOptions, serve
from service.simulator.faults import FAILURES
from service.simulator.flags import options_from
from service.simulator.options import Vocabulary
from service.simulator.retry_after import RetryAfterForm

_PLAIN = SimulatorOptions()
_NONE = "0s"


def _duration(help_text: str) -> Any:
    return typer.Option(metavar="DURATION", help=help_text)


@dataclass(frozen=True, slots=True)
class ListenOptions(options.OptionGroup):
    """The address of the server."""

    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for a free port.")] = 8000


@dataclass(frozen=True, slots=True)
class ServedModelOptions(options.OptionGroup):
    """Name, capacity and random seed of the simulated model."""

    seed: Annotated[int, typer.Option(help="Random seed; seed and prompt determine the answer.")] = 0
    served_model_name: Annotated[str, typer.Option(help="Name of the model.")] = _PLAIN.model
    max_model_len: Annotated[
        int, typer.Option(help="Maximum tokens of prompt and answer; longer requests get 400; 0 for no limit.")
    ] = 0
    max_num_seqs: Annotated[int, typer.Option(help="Maximum completions at once; 0 for no limit.")] = 0
    max_waiting_queue_length: Annotated[
        int, typer.Option(help="Maximum waiting requests; further requests get 429.")
    ] = 1000


@dataclass(frozen=True, slots=True)
class LatencyOptions(options.OptionGroup):
    """Latencies of the simulated model."""

    time_to_first_token: Annotated[str, _duration("Time to the first token of each completion.")] = _NONE
    time_to_first_token_std_dev: Annotated[str, _duration("Standard deviation of the time to the first token.")] = _NONE
    inter_token_latency: Annotated[str, _duration("Time for each further token.")] = _NONE
    inter_token_latency_std_dev: Annotated[str, _duration("Standard deviation of the inter-token latency.")] = _NONE
    time_factor_under_load: Annotated[
        float, typer.Option(help="Factor on all latencies at full load (--max-num-seqs).")
    ] = 1.0
    startup_duration: Annotated[str, _duration("Time to load the model; requests get 503 meanwhile.")] = _NONE


@dataclass(frozen=True, slots=True)
class KeyOptions(options.OptionGroup):
    """API keys and the rate limits of each key."""

    api_keys: Annotated[list[str] | None, typer.Option(help="API key to accept; other keys get 401. Repeatable.")] = (
        None
    )
    requests_per_minute: Annotated[
        int, typer.Option(help="Limit on requests per minute of each key; beyond it 429; 0 for no limit.")
    ] = 0
    tokens_per_minute: Annotated[
        int, typer.Option(help="Limit on tokens (prompt and max_tokens) per minute of each key; 0 for no limit.")
    ] = 0
    requests_at_once: Annotated[
        int, typer.Option(help="Limit on requests in flight of each key; beyond it 429 at once; 0 for no limit.")
    ] = 0


@dataclass(frozen=True, slots=True)
class FaultOptions(options.OptionGroup):
    """Injected failures."""

    failure_injection_rate: Annotated[float, typer.Option(help="Percentage of requests that fail.")] = 0.0
    failure_types: Annotated[
        list[str] | None,
        typer.Option(help=f"Type of failure: {', '.join(FAILURES)}; with its own percentage: abort:5. Repeatable."),
    ] = None
    retry_after: Annotated[str, _duration("Wait that a 429 asks for.")] = "1s"
    retry_after_ms: Annotated[int | None, typer.Option(help="The wait in milliseconds, sent as retry-after-ms.")] = None
    retry_after_form: Annotated[RetryAfterForm, typer.Option(help="Form of the wait in a 429.")] = (
        RetryAfterForm.SECONDS
    )
    timeout_duration: Annotated[str, _duration("Time without an answer at a failure of type timeout.")] = "600s"


@dataclass(frozen=True, slots=True)
class BatchOptions(options.OptionGroup):
    """Durations and limits of the batch API."""

    batch_duration: Annotated[str, _duration("Time that a batch takes; 0: until the next API request.")] = _NONE
    batch_expired_rate: Annotated[float, typer.Option(help="Share (0 … 1) of batch lines that expire.")] = 0.0
    max_batch_requests: Annotated[int, typer.Option(help="Maximum requests in a batch.")] = _PLAIN.max_batch_requests
    max_batch_tokens: Annotated[int, typer.Option(help="Maximum tokens in all unfinished batches; 0 for no limit.")] = 0


@options.expand_groups
def simulator(
    *,
    listen: ListenOptions,
    served: ServedModelOptions,
    latency: LatencyOptions,
    keys: KeyOptions,
    faults: FaultOptions,
    batches: BatchOptions,
    near_duplicate_rate: Annotated[
        float, typer.Option(help="Share (0 … 1) of candidates similar to a task in the prompt.")
    ] = (_PLAIN.near_duplicate_rate),
    vocabulary: Annotated[Vocabulary, typer.Option(help="Language of the text, or code.")] = _PLAIN.vocabulary,
) -> None:
    """Serve the simulator until it is interrupted.

    The simulator is for load and fault tests. Its answers have the form that each stage expects, and no meaning.

    /sim/requests shows the journal of requests; /admin/config changes the options of the running simulator.
    """
    flags = options.values_of(served, latency, keys, faults, batches)
    flags |= {"near_duplicate_rate": near_duplicate_rate, "vocabulary": vocabulary}
    anyio.run(_serve, _simulator_options(flags), listen.host, listen.port)


def _simulator_options(flags: dict[str, Any]) -> SimulatorOptions:
    named = {name.replace("_", "-"): value for name, value in flags.items()}
    retry_after_ms = named.pop("retry-after-ms")
    if retry_after_ms is not None:
        named |= {"retry-after": f"{retry_after_ms}ms", "retry-after-form": RetryAfterForm.MS}
    return SimulatorOptions(**options_from(named))


async def _serve(chosen: SimulatorOptions, host: str, port: int) -> None:
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        try:
            async with serve(chosen, host=host, port=port) as running:
                typer.echo(f"{chosen.model} at {running.url}", err=True)
                async for _ in signals:
                    return
        except OSError as error:
            raise ConfigurationError(f"--port: cannot listen on {host}:{port}: {error.strerror}") from error
