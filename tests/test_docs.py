"""The documents agree with the code."""

import re
from pathlib import Path

import typer.main

from service.__main__ import app
from service.adapters.openai.server_profiles import PROFILES, LengthName, SchemaField, Structure
from service.dataset.recipe_files import KNOBS, RANGES, toml_value, values_of
from service.messaging.topics import ALL
from service.selfinstruct.recipe import ALPACA, RECIPES, SELF_INSTRUCT, Language
from service.selfinstruct.templates import MARKERS, PLACEHOLDERS

ROOT = Path(__file__).parents[1]


def test_the_table_of_topics_is_the_topics() -> None:
    table = (ROOT / "ARCHITECTURE.md").read_text("utf-8").split("## Topics")[1].split("\n## ")[0]
    rows = [re.split(r"\s*\|\s*", line) for line in table.splitlines() if line.startswith("| `")]
    widths = {row[1].strip("`"): row[-2] for row in rows}
    assert widths == {topic.name: "several" if topic.fanned_out else "1" for topic in ALL}


def test_the_readme_names_every_command_and_no_other() -> None:
    table = (ROOT / "README.md").read_text("utf-8").split("| command |")[1].split("\n\n")[0]
    named = {re.split(r"[ `]", line.removeprefix("| `"))[0] for line in table.splitlines() if line.startswith("| `")}
    group = typer.main.get_command(app)
    assert named == set(getattr(group, "commands", {}))


def test_the_docs_name_every_template() -> None:
    page = (ROOT / "docs/data.md").read_text("utf-8")
    assert [name for name in MARKERS if f"`{name}.txt`" not in page] == []


def test_the_docs_name_every_placeholder_and_no_other() -> None:
    table = (ROOT / "docs/subject.md").read_text("utf-8").split("| placeholder |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(.+?)` ", table, re.MULTILINE) == list(PLACEHOLDERS)


def test_the_table_of_servers_is_the_profiles() -> None:
    table = (ROOT / "docs/models.md").read_text("utf-8").split("| server |")[1].split("\n\n")[0]
    rows = {cells[1].strip("`"): cells for line in table.splitlines() if (cells := _cells(line))[1].startswith("`")}
    assert set(rows) == {dialect.value for dialect in PROFILES}
    for name, profile in PROFILES.items():
        _, _, chat, completions, length, stops, left_out, _ = rows[name.value]
        assert chat.startswith("strict") == (profile.structure is Structure.STRICT)
        assert ("require_parameters" in chat) == profile.requires_parameters
        assert completions == _IN_WORDS[profile.completions_schema]
        named = LengthName.MAX_TOKENS if profile.chat_length is LengthName.AUTO else profile.chat_length
        assert length.startswith(f"`{named.value}`")
        assert ("new name" in length) == (profile.chat_length is LengthName.AUTO)
        assert int(stops) == profile.stops
        assert {name.value for name in profile.left_out} == set(re.findall(r"`(\w+)`(?! of)", left_out)) - {"top_p"}
        assert ("`top_p`" in left_out) == profile.top_p_below_one


_IN_WORDS = {
    None: "the prompt alone",
    SchemaField.RESPONSE_FORMAT: "strict",
    SchemaField.JSON_SCHEMA: "the field `json_schema`",
}


def _cells(line: str) -> list[str]:
    return re.split(r"\s*\|\s*", line)


def test_the_tables_of_knobs_are_the_knobs() -> None:
    page = (ROOT / "docs/recipes.md").read_text("utf-8")
    tables = [table.split("\n\n")[0].partition("\n")[2] for table in page.split("| knob |")[1:]]
    mine, sampling = [
        {cells[1].strip("`"): cells[2:-1] for line in table.splitlines() if (cells := _cells(line))[1].startswith("`")}
        for table in tables
    ]
    assert mine.keys() == {name for name in KNOBS if "_sampling." not in name}
    assert sampling.keys() == {name.rpartition(".")[2] for name in KNOBS if "_sampling." in name}
    for name, (values, *published, _) in mine.items():
        assert values == _range_of(name)
        assert published == [_as_told(values_of(recipe).get(name)) for recipe in RECIPES.values()]
    for knob, (values, *told) in sampling.items():
        assert values == _range_of(f"instruction_sampling.{knob}")
        tables_of = ("instruction", "classification", "generation_instances", "classification_instances")
        assert told == [
            *(_as_told(values_of(SELF_INSTRUCT)[f"{table}_sampling.{knob}"]) for table in tables_of),
            _as_told(values_of(ALPACA)[f"instruction_sampling.{knob}"]),
        ]


_KINDS = {bool: "`true`, `false`", int: "whole number", float: "number", str: "text", Language: "`en`, `any`"}


def _range_of(name: str) -> str:
    least, most = RANGES.get(name.rpartition(".")[2], (None, None))
    limits = "" if least is None else f" from {least}" if most is None else f" {least} … {most}"
    return f"{_KINDS.get(KNOBS[name], 'list of texts')}{limits}"


def _as_told(value: object) -> str:
    if value is None:
        return ""
    return f"{len(value)} texts" if isinstance(value, tuple) and len(value) > 9 else f"`{toml_value(value)}`"
