"""What is learnt from a server that refuses a parameter by name. Pure.

Two things can be changed without a change of what is asked for: the name of the length limit, and the stop strings,
which are applied to the answer in any case. The rest is the recipe's, and is left out only where the user says so.
"""

import re

from service.adapters.openai.profiles import Api, LengthName, Parameter, Profile
from service.adapters.openai.refusals import Refusal

_FEWER_STOPS = 4
_UNSUPPORTED = re.compile(
    r"unsupported|not support|does not support|unrecogni[sz]ed|unknown|unexpected|not permitted|extra_forbidden"
    r"|not allowed|not enabled|cannot find field|not available|must be",
    re.IGNORECASE,
)
_STOP_BY_NAME = re.compile(
    r"['\"`]stop['\"`]|\$\.stop\b|(?:parameter|argument)s?(?: supplied)?:? ?stop\b|: stop\.?$", re.IGNORECASE
)
_SAMPLING = {
    name: re.compile(name.replace("_", "_?"), re.IGNORECASE) for name in Parameter if name is not Parameter.STOP
}


def adapted(profile: Profile, api: Api, refusal: Refusal) -> Profile | None:
    """Return the profile with which to ask again; none where the refusal is about something else."""
    if not refusal.blames_the_call:
        return None
    if _renames_length(profile, api, refusal):
        return profile.with_length(LengthName.MAX_COMPLETION_TOKENS)
    if profile.stops and _blames_stop(refusal):
        return profile.with_stops(_FEWER_STOPS if profile.stops > _FEWER_STOPS else 0)
    return None


def way_out(refusal: Refusal) -> str:
    """Return what to do about a refused sampling parameter; empty where none is named."""
    if not refusal.blames_the_call or not _is_unsupported(refusal):
        return ""
    blamed = refusal.saying.parameter
    names = [name for name, pattern in _SAMPLING.items() if pattern.search(blamed or refusal.saying.message)]
    if not names:
        return ""
    listed = ", ".join(f'"{name}"' for name in names)
    return f"To ask without it, which changes the recipe's sampling, set lm_omit = [{listed}]."


def _renames_length(profile: Profile, api: Api, refusal: Refusal) -> bool:
    return (
        api == "chat"
        and profile.chat_length is LengthName.AUTO
        and LengthName.MAX_COMPLETION_TOKENS in refusal.saying.message
        and _is_unsupported(refusal)
    )


def _blames_stop(refusal: Refusal) -> bool:
    saying = refusal.saying
    return saying.parameter == Parameter.STOP or (
        not saying.parameter and _STOP_BY_NAME.search(saying.message) is not None
    )


def _is_unsupported(refusal: Refusal) -> bool:
    return _UNSUPPORTED.search(f"{refusal.saying.codes} {refusal.saying.message}") is not None
