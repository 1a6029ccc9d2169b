"""Commands whose modules are imported when they are called: `--help` and `--version` import none of them."""

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand

from service.cli.garbage import spare_what_exists

# How to build the part of a command line that a module describes: as plain text, as the whole of it is.
_PLAIN: dict[str, Any] = {"add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}


def add_lazy(app: typer.Typer, name: str, summary: str, place: str) -> None:
    """Add a command or a group of commands; `place` is the module and the name in it of its function or its `Typer`.

    The summary is shown in the list of commands. It must be the first sentence of the function's docstring, or the
    help of the group.
    """

    class Lazy(TyperCommand):
        """The command in the list of commands, and the command of the module where it is called."""

        def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
            """Import the module, and read the arguments as its command does."""
            command = _load(place)
            spare_what_exists()
            return command.make_context(info_name, args, parent, **extra)

    app.command(name, cls=Lazy, help=summary)(_not_loaded)


def _not_loaded() -> None:
    """Stand for a function that is not imported."""


def _import_log() -> None:
    """Import structlog without rich, 50 ms, which it imports for tracebacks in colour that we do not print."""
    if not {"rich", "structlog"} & sys.modules.keys():
        sys.modules["rich"] = None  # type: ignore[assignment]  # so that `import rich` fails, as if it were not there
        try:
            import_module("structlog")
        finally:
            del sys.modules["rich"]


def _load(place: str) -> Any:
    _import_log()
    module, _, name = place.partition(":")
    found = getattr(import_module(module), name)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    alone = typer.Typer(**_PLAIN)
    alone.command()(found)
    return typer.main.get_command(alone)
