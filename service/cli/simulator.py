"""`seedstream simulator`: the stand-in for a language model, as a server of its own."""

from signal import SIGINT, SIGTERM
from typing import Annotated, Any

import anyio
import typer

from service.errors import ConfigurationError
from service.simulator import SimulatorOptions, serve
from service.simulator.faults import FAILURES
from service.simulator.flags import options_from
from service.simulator.retry_after import RetryAfterForm

_PLAIN = SimulatorOptions()
_NONE = "0s"
_NOT_OPTIONS = {"host", "port", "retry_after_ms"}


def _duration(says: str) -> Any:
    return typer.Option(metavar="DURATION", help=says)


def simulator(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    seed: Annotated[int, typer.Option(help="Answers are a function of this and the prompt.")] = 0,
    served_model_name: Annotated[str, typer.Option(help="The model's name.")] = _PLAIN.model,
    max_model_len: Annotated[int, typer.Option(help="Tokens of prompt and answer, 400 beyond; 0 for no limit.")] = 0,
    max_num_seqs: Annotated[int, typer.Option(help="Completions at once; 0 for no limit.")] = 0,
    max_waiting_queue_length: Annotated[int, typer.Option(help="Requests that may wait; the next gets 429.")] = 1000,
    time_to_first_token: Annotated[str, _duration("Until the first token, for each completion.")] = _NONE,
    time_to_first_token_std_dev: Annotated[str, _duration("Its standard deviation.")] = _NONE,
    inter_token_latency: Annotated[str, _duration("For each further token.")] = _NONE,
    inter_token_latency_std_dev: Annotated[str, _duration("Its standard deviation.")] = _NONE,
    time_factor_under_load: Annotated[float, typer.Option(help="How much longer all takes at --max-num-seqs.")] = 1.0,
    startup_duration: Annotated[str, _duration("The model is loading: 503 for so long.")] = _NONE,
    api_keys: Annotated[
        list[str] | None, typer.Option(help="A key to accept; others then get 401. Repeatable.")
    ] = None,
    requests_per_minute: Annotated[int, typer.Option(help="For each key, 429 beyond; 0 for no limit.")] = 0,
    tokens_per_minute: Annotated[int, typer.Option(help="The same for tokens of prompts and max_tokens.")] = 0,
    requests_at_once: Annotated[int, typer.Option(help="The same for requests in flight; none of them waits.")] = 0,
    failure_injection_rate: Annotated[float, typer.Option(help="Percent of requests that fail.")] = 0.0,
    failure_types: Annotated[
        list[str] | None,
        typer.Option(help=f"Which: {', '.join(FAILURES)}. With a rate of its own in percent: abort:5. Repeatable."),
    ] = None,
    retry_after: Annotated[str, _duration("How long a 429 asks to wait.")] = "1s",
    retry_after_ms: Annotated[int | None, typer.Option(help="The same, as a header in milliseconds.")] = None,
    retry_after_form: Annotated[RetryAfterForm, typer.Option(help="How it asks.")] = RetryAfterForm.SECONDS,
    timeout_duration: Annotated[str, _duration("How long a `timeout` is silent.")] = "600s",
    batch_duration: Annotated[str, _duration("How long a batch takes; 0 until it is looked at.")] = _NONE,
    batch_expired_rate: Annotated[float, typer.Option(help="Share of a batch's lines that come too late.")] = 0.0,
    max_batch_requests: Annotated[int, typer.Option(help="Requests in a batch.")] = _PLAIN.max_batch_requests,
    max_batch_tokens: Annotated[int, typer.Option(help="Tokens in all batches under way; 0 for no limit.")] = 0,
    near_duplicate_rate: Annotated[float, typer.Option(help="Share of candidates near a shown task.")] = (
        _PLAIN.near_duplicate_rate
    ),
) -> None:
    """Serve the simulator until it is interrupted: it answers with text of the shape that each stage expects.

    It is a stand-in for load and fault tests: its text has no meaning, and its model name says what it is.

    It writes a journal at /sim/requests, and takes other options while it runs at /admin/config.
    """
    chosen = _options(locals())
    anyio.run(_serve, chosen, host, port)


def _options(flags: dict[str, Any]) -> SimulatorOptions:
    named = {name.replace("_", "-"): value for name, value in flags.items() if name not in _NOT_OPTIONS}
    if flags["retry_after_ms"] is not None:
        named |= {"retry-after": f"{flags['retry_after_ms']}ms", "retry-after-form": RetryAfterForm.MS}
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
