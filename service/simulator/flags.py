"""Options under the flag names of llm-d-inference-sim, such as `max-num-seqs`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from service.errors import ConfigurationError
from service.simulator.durations import duration, seconds
from service.simulator.options import SimulatorOptions

_DURATION_SUFFIX = "_s"
_SECRET = {"api_keys"}


def _flag(field: str) -> str:
    return "served-model-name" if field == "model" else field.removesuffix(_DURATION_SUFFIX).replace("_", "-")


_FIELDS = {_flag(knob.name): knob.name for knob in fields(SimulatorOptions)}
_TYPES = {name: TypeAdapter[Any](hint) for name, hint in get_type_hints(SimulatorOptions).items()}


def options_from(named: Mapping[str, object]) -> dict[str, Any]:
    """Convert values by flag name to fields of `SimulatorOptions`; a value of None is left out.

    Durations are written 250ms, 2s or 1m. A failure type may carry a rate of its own in percent: rate_limit:5.

    Raises:
        ConfigurationError: a flag is unknown, or its value has the wrong type.
    """
    unknown = named.keys() - _FIELDS.keys()
    if unknown:
        raise ConfigurationError(f"{', '.join(sorted(unknown))}: expected some of {', '.join(_FIELDS)}")
    given = {_FIELDS[flag]: _value(flag, value) for flag, value in named.items() if value is not None}
    return _with_own_rates(given)


def as_json(options: SimulatorOptions) -> dict[str, object]:
    """Return the options by flag name, except for the API keys, which are secret."""
    values = {flag: getattr(options, field) for flag, field in _FIELDS.items() if field not in _SECRET}
    return {
        flag: duration(value) if _FIELDS[flag].endswith(_DURATION_SUFFIX) else value for flag, value in values.items()
    }


def _value(flag: str, value: object) -> object:
    field = _FIELDS[flag]
    if field.endswith(_DURATION_SUFFIX):
        return _seconds(flag, value)
    try:
        return _TYPES[field].validate_python(value)
    except ValidationError as cause:
        # The cause would show the value, which may be secret.
        shown = "…" if field in _SECRET else repr(value)
        raise ConfigurationError(f"{flag} is {shown}: {cause.errors()[0]['msg']}") from None


def _seconds(flag: str, value: object) -> float:
    try:
        return seconds(str(value))
    except ConfigurationError as cause:
        raise ConfigurationError(f"{flag}: {cause}") from cause


def _with_own_rates(given: dict[str, Any]) -> dict[str, Any]:
    """Split `failure_types` into the types that share one rate and those with their own (`failure_rates`)."""
    names = list(_names(given.pop("failure_types", ())))
    shared = tuple(name for name in names if ":" not in name)
    own = dict(_rate(name) for name in names if ":" in name)
    return given | ({"failure_types": shared} if shared else {}) | ({"failure_rates": own} if own else {})


def _names(given: Iterable[str]) -> Iterable[str]:
    return (name for text in given for name in re.split(r"[,\s]+", text) if name)


def _rate(text: str) -> tuple[str, float]:
    name, _, percent = text.partition(":")
    try:
        return name, float(percent)
    except ValueError as cause:
        raise ConfigurationError(f"failure-types: expected a rate in percent such as {name}:5, got {text!r}") from cause
