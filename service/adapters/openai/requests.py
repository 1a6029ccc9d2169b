"""The body that asks for one completion. Pure."""

from typing import Any

import orjson

from service.adapters.openai.options import OpenAIOptions
from service.adapters.openai.profiles import Parameter, Profile
from service.selfinstruct.recipe import Sampling


def request_body(options: OpenAIOptions, profile: Profile, prompt: str, sampling: Sampling) -> bytes:
    """Return the JSON that asks for one completion; what has no effect is left out, since some servers refuse it."""
    body: dict[str, Any] = {
        "model": options.model,
        profile.length_name(options.api): sampling.max_tokens + options.thinking_tokens,
    }
    if options.api == "chat":
        body["messages"] = [{"role": "user", "content": prompt}]
    else:
        body["prompt"] = prompt
    body |= {
        name.value: value
        for name, value in _parameters(options, profile, sampling)
        if name not in profile.left_out and name not in options.omit
    }
    return orjson.dumps(body)


def _parameters(options: OpenAIOptions, profile: Profile, sampling: Sampling) -> list[tuple[Parameter, Any]]:
    """Return the parameters that are worth sending, with their values."""
    found: list[tuple[Parameter, Any]] = [(Parameter.TEMPERATURE, sampling.temperature)]
    # A top_p of 0 goes with temperature 0, where it says nothing and vLLM refuses it.
    if sampling.top_p and not (profile.top_p_below_one and sampling.top_p >= 1):
        found.append((Parameter.TOP_P, sampling.top_p))
    if sampling.presence_penalty:
        found.append((Parameter.PRESENCE_PENALTY, sampling.presence_penalty))
    if sampling.frequency_penalty:
        found.append((Parameter.FREQUENCY_PENALTY, sampling.frequency_penalty))
    if stop := sampling.stop[: profile.stops]:
        found.append((Parameter.STOP, stop))
    if options.seed is not None:
        found.append((Parameter.SEED, options.seed))
    if sampling.ban_end_of_text and options.end_of_text_token is not None:
        found.append((Parameter.LOGIT_BIAS, {str(options.end_of_text_token): -100}))
    return found
