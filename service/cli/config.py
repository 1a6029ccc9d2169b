"""`seedstream config`: the settings in force and the source of each; secrets are masked."""

from typing import Any

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.cli import options
from service.settings import StageSettings, load_settings, origins
from service.url_masking import masked


@options.expand_groups
def config(run: options.RunOptions, as_json: options.AsJson = False) -> None:
    """Print the settings in force and the source of each: flag, environment, seedstream.toml or default."""
    flags = options.values_of(run)
    settings, origin = load_settings(flags), origins(flags)
    values = {name: _shown(name, getattr(settings, name)) for name in type(settings).model_fields}
    values["stages"] = {step.value: _table(stage) for step, stage in settings.stages.items()}
    if as_json:
        facts = {name: {"value": value, "from": origin[name]} for name, value in values.items()}
        options.print_json(facts)
        return
    table = Table("setting", "value", "from", "description")
    for name, field in type(settings).model_fields.items():
        value = "" if values[name] is None else str(values[name])
        table.add_row(name, Text(value), origin[name], Text(field.description or "", style="dim"))
    Console().print(table)


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "***"
    if name == "lm_url" and value is not None:
        return masked(value)
    return value if value is None or isinstance(value, int | float | bool) else str(value)


def _table(stage: StageSettings) -> dict[str, Any]:
    """Return the values of a stage's table; of its headers only the names are shown."""
    given = stage.given()
    headers = {"lm_headers": dict.fromkeys(given["lm_headers"], "***")} if "lm_headers" in given else {}
    return {name: _shown(name, value) for name, value in given.items()} | headers
