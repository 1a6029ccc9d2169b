"""Loads the settings; errors name the setting, the places where it may stand, and the values that are expected."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, SettingsError

from service.errors import ConfigurationError
from service.settings.settings import TOML_FILE, Settings, TomlSource
from service.url_masking import masked

# Every setting that may hold a secret has one of these words in its name.
_SECRET = ("key", "password", "headers", "lm_url")
_TABLES = ("prices", "lm_headers", "stages")

# The expected value of settings for which the type of an error says too little.
_EXPECTED = {
    "run": "expected small letters and digits, with - and _ between them, at most 63",
    "broker": "expected sqlite:DIR, or kafka://HOST:PORT with more of them after commas",
    "prices": "expected a table (in the variable: JSON) with version and models",
    "lm_headers": "expected a table (in the variable: JSON) of names and values",
    "recipe": "expected self-instruct, alpaca, or a file whose name ends in .toml",
    "lm_omit": "expected names, separated by commas",
    "lm_thinking_tokens": "expected a number of tokens, or auto",
}
# The expected value by pydantic's type of an error.
_EXPECTED_BY_TYPE = {
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "enum": "expected {expected}",
    "finite_number": "expected a finite number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "greater_than": "expected more than {gt:g}",
    "greater_than_equal": "expected at least {ge:g}",
    "int_from_float": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "less_than_equal": "expected at most {le:g}",
    "literal_error": "expected {expected}",
    "missing": "expected a value, and there is none",
    "path_type": "expected a path",
    "string_too_short": "expected a text that is not empty",
    "string_type": "expected a text",
}


def load_settings(flags: dict[str, Any]) -> Settings:
    """Return the settings in force. A flag that is `None` was not given and is ignored.

    Raises:
        ConfigurationError: a value is invalid; names the setting and its possible sources.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise ConfigurationError(_explained(error)) from error
    except SettingsError as error:  # without its cause, which may show a secret
        raise ConfigurationError(f"a variable SEEDSTREAM_…: expected JSON in it: {error}") from None
    except ValueError as error:
        raise ConfigurationError(f"{TOML_FILE}: {error}") from error


def _explained(error: ValidationError) -> str:
    """Return a message with the invalid setting, the value and the expected value; secret values are left out."""
    first = error.errors(include_url=False)[0]
    setting, *inside = (str(part) for part in first["loc"]) if first["loc"] else ("",)
    if not setting:
        return first["msg"].removeprefix("Value error, ")
    # Only in a table is the rest of the place a name; elsewhere it is the alternative of a type.
    name = ".".join([setting, *inside]) if setting in _TABLES else setting
    if first["type"] == "extra_forbidden":
        return f"{name} in {TOML_FILE}: there is no such setting; `seedstream config` lists those that there are"
    variable = f"SEEDSTREAM_{setting.upper()}"
    places = variable if inside and setting in _TABLES else f"its flag, {variable}"
    has_value = first["type"] != "missing" and not any(word in name for word in _SECRET)
    if setting == "stages" and len(inside) <= 1:  # a whole table, which may have a key
        places, has_value = variable, False
    value = first["input"]
    shown = masked(value) if name == "broker" and isinstance(value, str) else value
    came = f", got {shown!r}" if has_value else ""
    return f"{name} ({places} or {TOML_FILE}): {_expected(name, first)}{came}"


def _expected(name: str, error: ErrorDetails) -> str:
    if name in _EXPECTED:
        return _EXPECTED[name]
    if name.startswith("stages.") and error["type"] == "model_type":
        return f"expected a table [{name}] with keys such as model"
    words = _EXPECTED_BY_TYPE.get(error["type"])
    return error["msg"].removeprefix("Value error, ") if words is None else words.format(**error.get("ctx", {}))


def origins(flags: dict[str, Any]) -> dict[str, str]:
    """Return the source of each setting's value: `flag`, `environment`, `seedstream.toml` or `default`."""
    found = dict.fromkeys(Settings.model_fields, "default")
    for origin, names in (
        (TOML_FILE, TomlSource(Settings)()),
        ("environment", EnvSettingsSource(Settings)()),
        ("flag", [name for name, value in flags.items() if value is not None]),
    ):
        found.update(dict.fromkeys(names, origin))
    return found
