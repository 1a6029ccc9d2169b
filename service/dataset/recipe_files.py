"""Recipe files: a published recipe with knobs of one's own, in TOML; and any recipe as such a file."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, get_args, get_type_hints

import msgspec
from msgspec import Struct

from service.errors import RecipeError
from service.selfinstruct.recipe import TASKS_PER_REPLY, Language, Recipe, RecipeName, SemanticFilter, recipe_in
from service.selfinstruct.recipe_changes import with_fitting_stops, with_language

SUFFIX = ".toml"
_EXTENDS = "extends"
_LANGUAGE = "filters.language"
# Fields of a recipe that are no knobs of a file, and where their values come from.
_ELSEWHERE = {"name": _EXTENDS, "form": "--form", "chat_model": "--lm-api", "later_forms": "[stages]"}

_SHARE, _PENALTY, _DEMONSTRATIONS, _COUNT, _SIZE = (0, 1), (-2, 2), (0, 100), (1, 100), (1, None)
# The least and the greatest value of each number; None: no limit.
RANGES: Mapping[str, tuple[int, int | None]] = {
    "human_demonstrations": _DEMONSTRATIONS,
    "machine_demonstrations": _DEMONSTRATIONS,
    "classification_prompts": _SHARE,
    "max_instances": _COUNT,
    "tasks_per_reply": _COUNT,
    "min_words": _SIZE,
    "max_words": _SIZE,
    "rouge_threshold": _SHARE,
    "threshold": _SHARE,
    "temperature": (0, 2),
    "top_p": _SHARE,
    "max_tokens": _SIZE,
    "presence_penalty": _PENALTY,
    "frequency_penalty": _PENALTY,
}
_KINDS: Mapping[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple[str, ...]: "a list of texts, none of them empty",
}


def _knobs_of(kind: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the type of each knob."""
    hints = get_type_hints(kind)
    for name in (field.name for field in fields(kind) if prefix or field.name not in _ELSEWHERE):
        hint = _without_none(hints[name])
        if is_dataclass(hint):
            yield from _knobs_of(hint, f"{name}.")  # type: ignore[arg-type]
        else:
            yield f"{prefix}{name}", hint


def _without_none(hint: Any) -> Any:
    kinds = get_args(hint)
    return next(kind for kind in kinds if kind is not NoneType) if NoneType in kinds else hint


# The knobs of a recipe file, by their dotted names, and their types.
KNOBS: Mapping[str, Any] = dict(_knobs_of(Recipe))
_TABLES = {name.partition(".")[0] for name in KNOBS if "." in name}
_SAMPLING = {table for table in _TABLES if table.endswith("_sampling")}
# Knobs outside those tables that a language brings.
_BY_LANGUAGE = {"capitalize", "filters.allow_non_ascii"}


class RecipeFile(Struct, frozen=True):
    """A recipe file that was read: the published recipe, and the file's knobs by their dotted names."""

    path: Path
    extends: RecipeName
    knobs: Mapping[str, Any]

    def applied_to(self, base: Recipe, language: Language | None = None) -> Recipe:
        """Return a published recipe, in any form, with the knobs of this file.

        A language brings knobs of its own, before those of the file; `language` takes the place of the file's. Stop
        sequences that the file does not name have the numbers of the file.

        Raises:
            RecipeError: knobs contradict each other, or belong to a step that the recipe does not have.
        """
        wanted = language or self.knobs.get(_LANGUAGE)
        recipe = base if wanted is None else with_language(base, wanted)
        for name, value in self.knobs.items():
            if name != _LANGUAGE:
                recipe = self._with(recipe, name, value)
        if recipe.tasks_per_reply == TASKS_PER_REPLY[recipe.name]:
            recipe = replace(recipe, tasks_per_reply=None)
        self._check(recipe)
        return with_fitting_stops(recipe, base, {name.partition(".")[0] for name in self.knobs if ".stop" in name})

    @property
    def compares_meanings(self) -> bool:
        """Whether the file says how meanings are compared."""
        return any(name.startswith("semantic.") for name in self.knobs)

    def _with(self, recipe: Recipe, name: str, value: Any) -> Recipe:
        table, _, knob = name.rpartition(".")
        if not table:
            return replace(recipe, **{knob: value})
        old = getattr(recipe, table)
        if old is None and table == "semantic":
            old = SemanticFilter()
        if old is None:
            raise RecipeError(f"{self.path}: {table}: recipe {recipe.name} has no such step")
        return replace(recipe, **{table: replace(old, **{knob: value})})

    def _check(self, recipe: Recipe) -> None:
        filters = recipe.filters
        if filters.min_words > filters.max_words:
            raise RecipeError(
                f"{self.path}: expected filters.min_words <= filters.max_words, got {filters.min_words} and "
                f"{filters.max_words}"
            )
        if not recipe.human_demonstrations + recipe.machine_demonstrations:
            raise RecipeError(f"{self.path}: expected at least one demonstration, got none")
        if recipe.name is RecipeName.ALPACA and recipe.machine_demonstrations:
            raise RecipeError(f"{self.path}: machine_demonstrations: recipe alpaca shows human tasks only; expected 0")
        if recipe.name is RecipeName.ALPACA and recipe.max_instances > 1:
            raise RecipeError(f"{self.path}: max_instances: a task of recipe alpaca has one instance; expected 1")


def read_recipe(path: Path) -> RecipeFile:
    """Return a recipe file.

    Raises:
        RecipeError: the file cannot be read, extends no published recipe, has an unknown knob (the message has the
            nearest name), or a value of a wrong type or outside its range.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: expected a readable UTF-8 file: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: {error}") from error
    extends = given.pop(_EXTENDS, None)
    if extends not in list(RecipeName):
        got = "nothing" if extends is None else toml_value(extends)
        raise RecipeError(f"{path}: extends: expected {_expected(RecipeName)}, got {got}")
    try:
        knobs = {name: _checked(name, value) for name, value in _flat(given)}
    except ValueError as error:
        raise RecipeError(f"{path}: {error}") from error
    return RecipeFile(path, RecipeName(extends), knobs)


def _flat(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if name not in _TABLES:
            yield name, value
        elif isinstance(value, dict):
            yield from ((f"{name}.{inner}", each) for inner, each in value.items())
        else:
            raise ValueError(f"{name}: expected a table, [{name}], got {toml_value(value)}")


def _checked(name: str, value: Any) -> Any:
    if name not in KNOBS:
        _refuse_unknown(name)
    kind = KNOBS[name]
    try:
        converted = msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise _wrong(name, _expected(kind), value) from None
    if kind == tuple[str, ...] and not all(converted):
        raise _wrong(name, _expected(kind), value)
    least, most = RANGES.get(name.rpartition(".")[2], (None, None))
    if least is not None and not least <= converted <= (converted if most is None else most):
        limits = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise _wrong(name, f"{_expected(kind)} {limits}", value)
    return converted


def _expected(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return " or ".join(f'"{each}"' for each in kind)
    return _KINDS[kind]


def _wrong(name: str, expected: str, value: Any) -> ValueError:
    return ValueError(f"{name}: expected {expected}, got {toml_value(value)}")


def _refuse_unknown(name: str) -> NoReturn:
    if name in _ELSEWHERE:
        raise ValueError(f"{name}: no knob of a recipe file; {_ELSEWHERE[name]} says it")
    table, _, knob = name.rpartition(".")
    near = get_close_matches(knob, sorted({each.rpartition(".")[2] for each in KNOBS} | _TABLES), 1)
    named = [each for each in (*KNOBS, *_TABLES) if near and each.rpartition(".")[2] == near[0]]
    nearest = [each for each in named if each.rpartition(".")[0] == table] or named
    hint = f"the nearest is {' or '.join(nearest)}" if nearest else "`seedstream recipe show` prints all that there are"
    raise ValueError(f"{name}: there is no such knob; {hint}")


def values_of(recipe: Recipe) -> dict[str, Any]:
    """Return the value of each knob by its dotted name, without those of tables that the recipe does not have."""
    values = {name: _value(recipe, name) for name in KNOBS}
    values["tasks_per_reply"] = recipe.most_tasks
    return {name: value for name, value in values.items() if value is not None}


def _value(recipe: Recipe, name: str) -> Any:
    table, _, knob = name.rpartition(".")
    holder = getattr(recipe, table) if table else recipe
    return None if holder is None else getattr(holder, knob)


def as_toml(recipe: Recipe) -> str:
    """Return a recipe file with all knobs; it gives this recipe again in the same form.

    Knobs that follow from the form, the language and the numbers are comments: another form has its own.
    """
    lines, last = [f"{_EXTENDS} = {toml_value(recipe.name)}"], ""
    values, following = values_of(recipe), values_of(_following(recipe))
    for name in sorted(values, key=lambda each: "." in each):
        table, _, knob = name.rpartition(".")
        if table != last:
            lines += ["", f"[{table}]"]
            last = table
        follows = (table in _SAMPLING or name in _BY_LANGUAGE) and values[name] == following.get(name)
        lines.append(f"{'# ' if follows else ''}{knob} = {toml_value(values[name])}")
    return "\n".join(lines) + "\n"


def _following(recipe: Recipe) -> Recipe:
    """Return a recipe with the values that its form, language and numbers give where a file does not say otherwise."""
    base = recipe_in(recipe.name, recipe.step_forms)
    plain = with_language(base, recipe.filters.language)
    filters = replace(recipe.filters, allow_non_ascii=plain.filters.allow_non_ascii)
    sampling: dict[str, Any] = {table: getattr(base, table) for table in _SAMPLING}
    return with_fitting_stops(replace(recipe, capitalize=plain.capitalize, filters=filters, **sampling), base, ())


def toml_value(value: Any) -> str:
    """Return the value of a knob in TOML."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case tuple() | list():
            return f"[{', '.join(map(toml_value, value))}]"
        case _:
            return repr(value)
