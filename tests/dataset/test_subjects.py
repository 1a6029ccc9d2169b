"""The subject of a run as the user gives it."""

from pathlib import Path

import pytest

from service.dataset.subject_warnings import subject_warnings
from service.dataset.subjects import load_subject
from service.dataset.templates import load_templates
from service.errors import SubjectError, TemplateError
from service.selfinstruct.recipe import Form, RecipeName, recipe_for
from service.selfinstruct.subject import NO_SUBJECT, Subject, SubjectTopic

FILE = """
about = "support tickets of a telecom"
system_prompt = "You know telecoms."

[[topics]]
name = "billing"
share = 40
about = "invoices, refunds"

[[topics]]
name = "outages"
share = 60.5
system_prompt = "Be calm."
"""


def written(folder: Path, text: str, name: str = "topics.toml") -> str:
    path = folder / name
    path.write_text(text, "utf-8-sig")
    return str(path)


def test_a_run_may_have_no_subject() -> None:
    assert load_subject(None, None) == NO_SUBJECT


def test_a_subject_is_a_text_or_a_text_file(tmp_path: Path) -> None:
    assert load_subject(" rivers \n", "Be brief.") == Subject("rivers", "Be brief.")
    long = written(tmp_path, "rivers\nand lakes\n", "about.txt")
    assert load_subject(long, long) == Subject("rivers\nand lakes", "rivers\nand lakes")


def test_a_file_has_topics_with_shares(tmp_path: Path) -> None:
    topics = (SubjectTopic("billing", 40.0, "invoices, refunds"), SubjectTopic("outages", 60.5, "", "Be calm."))
    file = written(tmp_path, FILE)
    assert load_subject(file, None) == Subject("support tickets of a telecom", "You know telecoms.", topics)


def test_topics_without_shares_have_equal_ones(tmp_path: Path) -> None:
    file = written(tmp_path, '[[topics]]\nname = "a"\n[[topics]]\nname = "b"')
    assert load_subject(file, "Be brief.").shares == {"a": 0.5, "b": 0.5}


TOPIC = '[[topics]]\nname = "a"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("about = ", "topics.toml: expected TOML"),
        ("", r"expected at least one table \[\[topics\]\]"),
        ("topics = []", r"at least one table"),
        ('topics = ["a"]', r"at least one table"),
        ('[topics]\nname = "a"', r"at least one table"),
        ('[[topic]]\nname = "a"', "got 'topic'; did you mean topics"),
        (f"{TOPIC}shares = 1", "topic 1: expected the keys name, share, .* got 'shares'; did you mean share"),
        ("[[topics]]\nshare = 1", "topic 1: expected a name"),
        ('[[topics]]\nname = " "', "expected a name"),
        ('[[topics]]\nname = "a\\nb"', "on one line, got 'a.nb'"),
        (f'[[topics]]\nname = "{"x" * 101}"', "at most 100 characters"),
        ("[[topics]]\nname = 7", "expected a name .* got 7"),
        (f"{TOPIC}share = 0", r"topic 1 \(a\): expected a share above 0, got 0"),
        (f"{TOPIC}share = -1", "above 0, got -1"),
        (f"{TOPIC}share = nan", "above 0, got nan"),
        (f"{TOPIC}share = inf", "above 0, got inf"),
        (f"{TOPIC}share = true", "above 0, got True"),
        (f'{TOPIC}share = "40%"', "above 0, got '40%'"),
        (f"{TOPIC}about = 7", r"topic 1 \(a\): about: expected a text, got 7"),
        (f'{TOPIC}about = ""', "about: expected a text, got ''"),
        (f'{TOPIC}about = "a\\u0000b"', "about: expected a text"),
        (f'{TOPIC}about = "{"x" * 4001}"', "at most 4,000 characters, got 4,001"),
        (f'system_prompt = "{"x" * 20001}"\n{TOPIC}', "at most 20,000 characters"),
        (f"{TOPIC}{TOPIC.replace('a', 'A', 2).replace('nAme', 'name')}", "different names, got 'a' and 'A'"),
        (f'{TOPIC}share = 1\n[[topics]]\nname = "b"', "a share of every topic or of none, and 'b' has none"),
        (f'{TOPIC}share = 1e-7\n[[topics]]\nname = "b"\nshare = 1', "of the same magnitude, got 1e-07 beside 1"),
        ("".join(f'[[topics]]\nname = "{each}"\n' for each in range(1001)), "at most 1000 topics, got 1001"),
    ],
)
def test_a_bad_file_is_refused_by_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SubjectError, match=told):
        load_subject(written(tmp_path, text), None)


@pytest.mark.parametrize("name", ["none.toml", "none.txt"])
def test_a_missing_file_is_refused(name: str) -> None:
    with pytest.raises(SubjectError, match=f"{name}: expected a readable UTF-8 file"):
        load_subject(name, None)


@pytest.mark.parametrize("name", ["subject.md", "notes/Subject.JSON", "subject.TXT", "./x", "../x", "/no/x", "~/x"])
def test_the_name_of_another_kind_of_file_is_refused(name: str) -> None:
    with pytest.raises(
        SubjectError, match=r"about: expected a text, a .txt file or a .toml file, and .* seems to name"
    ):
        load_subject(name, None)
    with pytest.raises(SubjectError, match=r"system_prompt: expected a text or a .txt file, and .* seems to name"):
        load_subject(None, name)


def test_a_file_or_folder_that_exists_is_no_text(tmp_path: Path) -> None:
    for path in (str(tmp_path), written(tmp_path, "rivers", "a subject"), f"{written(tmp_path, 'x', 'x.tex')}\n"):
        with pytest.raises(SubjectError, match=r"about: expected a text, .* got the name of another file or folder"):
            load_subject(path, None)
        with pytest.raises(SubjectError, match=r"system_prompt: expected .* got the name of another file or folder"):
            load_subject(None, path)
    with pytest.raises(SubjectError, match=r"system_prompt: expected .* got the name of another file or folder"):
        load_subject(None, written(tmp_path, FILE))


@pytest.mark.parametrize(
    "text",
    [
        "rivers",
        "Node.js",
        "TCP/IP",
        "Questions about booking.com.",
        "How to write a README.md",
        "./configure and make",
        "Sie sind kurz.",
        "关于河流的问题。",
        "rivers " * 500,
        "a line\nsubject.md",
    ],
)
def test_a_text_is_not_taken_for_a_file(text: str) -> None:
    assert load_subject(text, text) == Subject(text.strip(), text.strip())


@pytest.mark.parametrize("text", ["", " \n", "a\0b", "\udcff"])
def test_a_subject_that_is_no_text_is_refused(text: str) -> None:
    for about, system_prompt in ((text, None), (None, text)):
        with pytest.raises(SubjectError, match="expected a text"):
            load_subject(about, system_prompt)


def test_a_system_prompt_is_given_once(tmp_path: Path) -> None:
    with pytest.raises(SubjectError, match="expected no system_prompt there beside the option"):
        load_subject(written(tmp_path, FILE), "Be brief.")


def test_a_marker_stands_apart_from_the_subject(tmp_path: Path) -> None:
    (tmp_path / "alpaca.txt").write_text("On {{about}}: {{demonstrations}}")
    with pytest.raises(TemplateError, match=r"alpaca.txt: .* on a line of its own, without {{about}}, {{topic}}"):
        load_templates(tmp_path)


RIVERS = Subject("rivers")
TOPICS = Subject("rivers", topics=(SubjectTopic("deltas", 1),))
OWN_PROMPTS = Subject("", topics=(SubjectTopic("deltas", 1, "", "Write about deltas."),))


def warnings(folder: Path, subject: Subject, **texts: str) -> list[str]:
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    recipe = recipe_for(RecipeName.SELF_INSTRUCT)
    return list(subject_warnings(recipe, load_templates(folder if texts else None, Form.TEXT, recipe, subject)))


@pytest.mark.parametrize("subject", [NO_SUBJECT, RIVERS, TOPICS, OWN_PROMPTS])
def test_bundled_templates_reach_every_prompt(tmp_path: Path, subject: Subject) -> None:
    assert warnings(tmp_path, subject) == []


def test_templates_of_ones_own_without_the_placeholder(tmp_path: Path) -> None:
    one = warnings(tmp_path, RIVERS, classification="Is it? {{instruction}}")
    assert one == ["these prompts do not say what the tasks are about: classification.txt without {{about}}"]
    both = warnings(tmp_path, TOPICS, classification="{{about}}\n{{instruction}}", instructions="{{demonstrations}}")
    assert both == [
        "these prompts do not say what the tasks are about: instructions.txt without {{about}}",
        "topics make no difference to the tasks that the model writes: instructions.txt has no {{topic}}",
    ]


def test_a_subject_that_reaches_nowhere_is_told(tmp_path: Path) -> None:
    names = ("instances_generation", "instances_classification", "classification")
    texts = {**dict.fromkeys(names, "{{instruction}}"), "instructions": "{{demonstrations}}"}
    assert warnings(tmp_path, RIVERS, **texts) == [
        "the model is never told what the tasks are about: no template in use has {{about}}"
    ]
    assert warnings(tmp_path, Subject("rivers", "Write about {{about}}."), **texts) == []
    assert warnings(tmp_path, OWN_PROMPTS, **texts) == []


def test_a_template_of_ones_own_is_filled_in(tmp_path: Path) -> None:
    (tmp_path / "instructions.txt").write_text("On {{about}}, again {{about}}.\n\nOn {{topic}}.\n{{demonstrations}}")
    assert load_templates(tmp_path).instructions == "{{demonstrations}}"
    assert (
        load_templates(tmp_path, subject=RIVERS).instructions == "On {{about}}, again {{about}}.\n\n{{demonstrations}}"
    )
