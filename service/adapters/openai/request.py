"""Builds the body of a completion request. Pure."""

from typing import Any

import orjson

from service.adapters.openai.options import OpenAIOptions
from service.adapters.openai.server_profiles import Api, Parameter, Profile, SchemaField, Structure
from service.selfinstruct.model_input import AnswerSchema, ModelInput
from service.selfinstruct.recipe import Sampling


def request_body(options: OpenAIOptions, profile: Profile, prompt: ModelInput, sampling: Sampling) -> bytes:
    """Return the request body as JSON, without parameters that have no effect, since some servers refuse them."""
    body: dict[str, Any] = {
        "model": options.model,
        profile.length_name(options.api): sampling.max_tokens + profile.thinking_room(options.thinking_tokens),
    }
    if options.api == "chat":
        system = [{"role": "system", "content": prompt.system}] if prompt.system else []
        body["messages"] = [*system, {"role": "user", "content": prompt.text}]
    else:
        body["prompt"] = prompt.as_text
    if prompt.schema is not None:
        body |= _structure(profile, options.api, prompt.schema)
    body |= {
        name.value: value
        for name, value in _parameters(options, profile, sampling)
        if name not in profile.left_out and name not in options.omit
    }
    return orjson.dumps(body)


def _structure(profile: Profile, api: Api, schema: AnswerSchema) -> dict[str, Any]:
    """Return the fields that request JSON in the profile's way; none if it relies on the prompt alone."""
    match profile.schema_field(api):
        case None:
            return {}
        case SchemaField.JSON_SCHEMA:
            return {"json_schema": schema.value}
        case SchemaField.RESPONSE_FORMAT:
            fields: dict[str, Any] = {"response_format": _response_format(profile.structure, schema)}
            return fields | ({"provider": {"require_parameters": True}} if profile.requires_parameters else {})


def _response_format(structure: Structure, schema: AnswerSchema) -> dict[str, Any]:
    if structure is Structure.OBJECT:
        return {"type": "json_object"}
    strict = {"strict": True} if structure is Structure.STRICT else {}
    return {"type": "json_schema", "json_schema": {"name": schema.name, **strict, "schema": schema.value}}


def _parameters(options: OpenAIOptions, profile: Profile, sampling: Sampling) -> list[tuple[Parameter, Any]]:
    """Return the optional parameters that have an effect, with their values."""
    found: list[tuple[Parameter, Any]] = [(Parameter.TEMPERATURE, sampling.temperature)]
    # A top_p of 0 comes with temperature 0, where it has no effect; vLLM refuses it.
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
