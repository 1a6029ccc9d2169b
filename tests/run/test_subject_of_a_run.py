"""The subject on a run's definition: left out without one, compared by name, refused by versions that lack it."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.errors import DecodeError, RunMismatchError, SubjectError
from service.messaging import codec, topics
from service.messaging.broker import Partition, Record
from service.messaging.messages import RunDefined
from service.run.definition import AskedRun, check_same
from service.selfinstruct.subject import Subject, SubjectTopic
from service.selfinstruct.templates import MARKERS
from service.settings import load_settings
from tests.support import examples
from tests.support.logs import RUN
from tests.support.newer import changed

pytestmark = pytest.mark.usefixtures("no_settings")

TOPICS = """
about = "tickets"
[[topics]]
name = "billing"
share = 2
about = "invoices"
[[topics]]
name = "outages"
share = 1
"""


def asked(**flags: Any) -> AskedRun:
    return AskedRun(load_settings(flags))


def topics_file(old: str = "", new: str = "", name: str = "topics.toml") -> str:
    Path(name).write_text(TOPICS.replace(old, new) if old else TOPICS)
    return name


def test_a_definition_without_a_subject_says_nothing_of_it() -> None:
    definition = asked().new.definition
    assert json.loads(definition.to_json())["templates"].keys() == set(MARKERS)
    assert b"subject" not in examples.definition(1).to_json()


def test_a_definition_keeps_its_subject() -> None:
    definition = asked(about=topics_file(), system_prompt="Be brief.").new.definition
    billing, outages = SubjectTopic("billing", 2.0, "invoices"), SubjectTopic("outages", 1.0)
    assert definition.templates.run_subject == Subject("tickets", "Be brief.", (billing, outages))
    assert msgspec.json.decode(definition.to_json(), type=RunDefined) == definition


def test_an_earlier_version_refuses_a_subject() -> None:
    """It knows the templates, all of them texts, and refuses another one that is set."""
    written = json.loads(asked(about="rivers").new.definition.to_json())["templates"]
    assert {name for name in written if name not in MARKERS} == {"subject"}
    assert written["subject"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"audience": "children"}, "subject.audience: no template"),
        ({"topics": [{"name": "a", "share": 1}, {"name": "b", "share": 1, "most": 3}]}, r"subject.topics\[1\].most"),
    ],
)
def test_a_part_of_a_subject_of_a_newer_version_is_refused(change: dict[str, Any], named: str) -> None:
    record = changed(examples.definition(2), lambda value: value["templates"].update(subject=change))
    with pytest.raises(DecodeError, match=named):
        codec.decode(topics.CONTROL, Record(Partition(record.topic, 0), 0, record.key, record.value, record.headers, 0))


def test_a_run_continues_with_the_same_subject_or_none() -> None:
    existing = asked(about=topics_file(), system_prompt="Be brief.").new.definition
    for same in (asked(), asked(about=topics_file()), asked(system_prompt="Be brief.")):
        check_same(existing, same)
    check_same(existing, asked(about=topics_file(), system_prompt="Be brief."))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"tickets"', '"letters"', "about: the run has 'tickets', asked for 'letters'"),
        ("share = 2", "share = 3", "about.topics.billing.share: the run has '2.0', asked for '3.0'"),
        ('"invoices"', '"refunds"', "about.topics.billing.about: the run has 'invoices', asked for 'refunds'"),
        ('"outages"', '"moves"', r"about.topics: only the run has \['outages'\], only asked for are \['moves'\]"),
    ],
)
def test_another_subject_is_named(old: str, new: str, told: str) -> None:
    existing = asked(about=topics_file()).new.definition
    with pytest.raises(RunMismatchError, match=told):
        check_same(existing, asked(about=topics_file(old, new)))


def test_a_run_without_a_subject_gets_none() -> None:
    existing = asked().new.definition
    with pytest.raises(RunMismatchError, match="about: the run has '', asked for 'rivers'"):
        check_same(existing, asked(about="rivers"))
    with pytest.raises(RunMismatchError, match=r"system_prompt: the run has '', asked for 'Be brief.'"):
        check_same(existing, asked(system_prompt="Be brief."))


def test_templates_are_compared_as_the_run_uses_them() -> None:
    folder = Path("mine")
    folder.mkdir()
    (folder / "classification.txt").write_text("On {{about}}.\n{{instruction}}")
    existing = asked(about="rivers", templates=folder).new.definition
    check_same(existing, asked(templates=folder))
    without = asked(templates=folder).new.definition
    check_same(without, asked(templates=folder))
    assert without.templates.classification == "{{instruction}}"


def test_a_subject_too_long_for_a_record_is_refused() -> None:
    many = "".join(f'[[topics]]\nname = "{each}"\nabout = "{"x" * 4_000}"\n' for each in range(300))
    Path("many.toml").write_text(many)
    with pytest.raises(SubjectError, match=r"expected a definition of at most .* bytes, got 1"):
        _ = asked(about="many.toml").new


def test_files_of_an_existing_run_are_checked_too() -> None:
    with pytest.raises(SubjectError, match=r"none\.toml"):
        asked(about="none.toml", run=RUN).check_files()
