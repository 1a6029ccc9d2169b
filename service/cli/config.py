"""`seedstream config`: which settings are in force and where each comes from; secrets are masked."""

from typing import Any

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.cli import options
from service.settings import load_settings, origins


def config(broker: options.Broker = None, run: options.Run = None, as_json: options.AsJson = False) -> None:
    """Print the settings in force and where each comes from: flag, environment, seedstream.toml or default."""
    flags = {"broker": broker, "run": run}
    settings, origin = load_settings(flags), origins(flags)
    values = {name: _shown(getattr(settings, name)) for name in type(settings).model_fields}
    if as_json:
        facts = {name: {"value": value, "from": origin[name]} for name, value in values.items()}
        options.print_json(facts)
        return
    table = Table("setting", "value", "from", "what it is")
    for name, field in type(settings).model_fields.items():
        value = "" if values[name] is None else str(values[name])
        table.add_row(name, Text(value), origin[name], Text(field.description or "", style="dim"))
    Console().print(table)


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "***"
    return value if value is None or isinstance(value, int | float | bool) else str(value)
