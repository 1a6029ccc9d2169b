"""Errors in the use of the command line."""

from typing import Any

import typer
from typer.core import TyperGroup

# Typer checks values with pydantic, which begins the message of a `ValueError` with these words.
_PYDANTIC = "Value error, "


class PlainErrors(TyperGroup):
    """A group of commands whose errors have no words of pydantic."""

    def invoke(self, ctx: Any) -> Any:
        """Read the options of a command, and run it."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix(_PYDANTIC)
            raise
