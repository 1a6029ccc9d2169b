"""The subset of vLLM's metrics that applies to the simulator, in the Prometheus text format."""

from msgspec import Struct

_LINES = """\
# HELP vllm:num_requests_running Number of requests being completed.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{model_name="{model}"}} {running}
# HELP vllm:num_requests_waiting Number of requests waiting for a place.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{model_name="{model}"}} {waiting}
# HELP vllm:prompt_tokens_total Number of prompt tokens of answered requests.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{{model_name="{model}"}} {prompt_tokens}
# HELP vllm:generation_tokens_total Number of tokens written.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{model_name="{model}"}} {generation_tokens}
"""


class Reading(Struct, frozen=True):
    """A snapshot of the metrics; token counts are totals since the start."""

    model: str
    running: int
    waiting: int
    prompt_tokens: int
    generation_tokens: int

    def as_text(self) -> str:
        """Render the snapshot in the Prometheus text format."""
        model = self.model.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        return _LINES.format(
            model=model,
            running=self.running,
            waiting=self.waiting,
            prompt_tokens=self.prompt_tokens,
            generation_tokens=self.generation_tokens,
        )
