"""What the documents say of the code is what the code says."""

import re
from pathlib import Path

import typer.main

from service.__main__ import app
from service.selfinstruct.templates import MARKERS
from service.topics import ALL

ROOT = Path(__file__).parents[2]


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


def test_the_readme_names_every_template() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in MARKERS if f"`{name}.txt`" not in readme] == []
