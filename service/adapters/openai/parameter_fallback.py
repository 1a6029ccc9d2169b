"""Adapts a profile when a server refuses a parameter by name. Pure.

Three changes do not alter the meaning of a request: the name of the length limit, the number of stop strings (the
client cuts the completion at all of them in any case), and how strictly the request asks for JSON (the prompt asks for
it too). A sampling parameter is dropped only in form JSON, which no paper defines. In form text, sampling follows the
paper, and parameters are dropped only if the user sets `lm_omit`.
"""

import re

from service.adapters.openai.error_response import Refusal
from service.adapters.openai.server_profiles import Api, LengthName, Parameter, Profile
from service.selfinstruct.model_input import ModelInput

_FEWER_STOPS = 4
_UNSUPPORTED = re.compile(
    r"unsupported|not support|does not support|unrecogni[sz]ed|unknown|unexpected|not permitted|extra_forbidden"
    r"|not allowed|not enabled|cannot find field|not available|unavailable|must be|cannot both be|only the default",
    re.IGNORECASE,
)
_STOP_BY_NAME = re.compile(
    r"['\"`]stop['\"`]|\$\.stop\b|(?:parameter|argument)s?(?: supplied)?:? ?stop\b|: stop\.?$", re.IGNORECASE
)
_SAMPLING = {
    name: re.compile(rf"(?<![\w-]){name.replace('_', '_?')}(?![\w-])", re.IGNORECASE)
    for name in Parameter
    if name is not Parameter.STOP
}


# Gateways answer 404 if no upstream supports the requested structure.
_READS_STRUCTURE = frozenset({400, 404, 422, 501})
_STRUCTURE = re.compile(
    r"response[ _]?(?:format|schema)|json[ _]?(?:schema|object|mode|output)|structured[ _-]?outputs?"
    r"|guided[ _]?(?:json|decoding)|additionalproperties|must contain the word ['\"`]?json"
    r"|grammar (?:is|in|too|could|cannot|error)|(?:invalid|parse|parsing|compil\w+) (?:the |a )?grammar"
    r"|no endpoints found that (?:can handle|support) the requested parameters|['\"`.]strict\b|strict mode"
    r"|invalid schema",
    re.IGNORECASE,
)


def adapted(profile: Profile, api: Api, refusal: Refusal, prompt: ModelInput) -> Profile | None:
    """Return the profile for a repeat of the call, or `None` if no change of parameters would help."""
    has_schema = prompt.schema is not None and profile.schema_field(api) is not None
    if has_schema and refusal.status in _READS_STRUCTURE and _blames_structure(refusal):
        return profile.with_less_structure(api)
    if not refusal.blames_the_call:
        return None
    if _renames_length(profile, api, refusal):
        return profile.with_length(LengthName.MAX_COMPLETION_TOKENS)
    if profile.stops and _blames_stop(refusal):
        return profile.with_stops(_FEWER_STOPS if profile.stops > _FEWER_STOPS else 0)
    new = [name for name in _refused_sampling(refusal) if name not in profile.left_out]
    return profile.without(new[-1]) if prompt.schema is not None and new else None


def changes(old: Profile, new: Profile, api: Api) -> dict[str, str | int]:
    """Return the differences between two profiles, as fields of a log event."""
    facts: dict[str, str | int] = {}
    if old.length_name(api) != new.length_name(api):
        facts["length_name"] = new.length_name(api)
    if old.stops != new.stops:
        facts["stops"] = new.stops
    if old.structure is not new.structure:
        facts["json_asked_for_by"] = new.structure.value
    if left_out := new.left_out - old.left_out:
        facts["left_out"] = ", ".join(sorted(left_out))
    if old.thinking_tokens != new.thinking_tokens:
        facts["thinking_tokens"] = new.thinking_tokens
    return facts


def way_out(refusal: Refusal) -> str:
    """Return a hint for the user on a refused sampling parameter, or an empty string if none is named."""
    if not refusal.blames_the_call:
        return ""
    names = _refused_sampling(refusal)
    if not names:
        return ""
    listed = ", ".join(f'"{name}"' for name in names)
    return f"To ask without it, which changes the recipe's sampling, set lm_omit = [{listed}]."


def _blames_structure(refusal: Refusal) -> bool:
    """Return whether a server refuses the request for JSON; some require the word JSON in the messages."""
    blamed = _blamed(refusal)
    return _STRUCTURE.search(blamed) is not None or (
        refusal.error_body.parameter == "messages" and "must contain the word" in refusal.error_body.message
    )


def _refused_sampling(refusal: Refusal) -> list[Parameter]:
    """Return the sampling parameters that the error body names as not supported."""
    if not _is_unsupported(refusal):
        return []
    return [name for name, pattern in _SAMPLING.items() if pattern.search(_blamed(refusal))]


def _blamed(refusal: Refusal) -> str:
    return refusal.error_body.parameter or refusal.error_body.message


def _renames_length(profile: Profile, api: Api, refusal: Refusal) -> bool:
    return (
        api == "chat"
        and profile.chat_length is LengthName.AUTO
        and LengthName.MAX_COMPLETION_TOKENS in refusal.error_body.message
        and _is_unsupported(refusal)
    )


def _blames_stop(refusal: Refusal) -> bool:
    error_body = refusal.error_body
    return error_body.parameter == Parameter.STOP or (
        not error_body.parameter and _STOP_BY_NAME.search(error_body.message) is not None
    )


def _is_unsupported(refusal: Refusal) -> bool:
    return _UNSUPPORTED.search(f"{refusal.error_body.codes} {refusal.error_body.message}") is not None
