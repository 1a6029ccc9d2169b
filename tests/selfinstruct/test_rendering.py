import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import TemplateError
from service.selfinstruct.rendering import render_alpaca, render_instruction, render_instructions
from service.selfinstruct.tasks import Instance

HOSTILE = "a {x} {{demonstrations}} {{instruction}} \\1 %s"


def test_instructions_are_numbered_lines_before_the_next_number() -> None:
    prompt = render_instructions("Tasks:\n{{demonstrations}}\n", ["  Sort\n\tthese   words:: ", "Add two numbers."])
    assert prompt == "Tasks:\n1. Sort these words\n2. Add two numbers.\n3."


def test_eight_demonstrations_end_with_number_nine() -> None:
    assert render_instructions("{{demonstrations}}", ["Do it"] * 8).endswith("\n8. Do it\n9.")


def test_without_demonstrations_the_first_number_remains() -> None:
    assert render_instructions("Go:\n{{demonstrations}}", []) == "Go:\n1."


def test_alpaca_shows_whole_tasks_between_marks() -> None:
    prompt = render_alpaca(
        "Head\n{{demonstrations}}\n",
        [("Add  up:\n", Instance("1\n2", "3")), ("Say hi", Instance("", "hi")), ("Nod", Instance("x", "y"))],
    )
    assert prompt == (
        "Head\n###\n1. Instruction: Add up\n1. Input:\n1\n2\n1. Output:\n3\n"
        "###\n2. Instruction: Say hi\n2. Input:\n<noinput>\n2. Output:\nhi\n"
        "###\n3. Instruction: Nod\n3. Input:\nx\n3. Output:\ny\n"
        "###\n4. Instruction:"
    )


def test_an_instruction_is_stripped_and_the_text_around_it_kept() -> None:
    assert render_instruction("Task: {{instruction}}\n", "  Sort\nthis \n") == "Task: Sort\nthis\n"


def test_markers_and_braces_in_values_are_only_text() -> None:
    assert render_instruction("<{{instruction}}>", HOSTILE) == f"<{HOSTILE}>"
    assert render_instructions("<{{demonstrations}}>", [HOSTILE]) == f"<1. {HOSTILE}\n2.>"
    assert HOSTILE in render_alpaca("{{demonstrations}}", [("Go", Instance(HOSTILE, HOSTILE))])


@settings(deadline=None)
@given(st.lists(st.text()))
def test_no_instruction_can_add_a_line_of_its_own(instructions: list[str]) -> None:
    assert render_instructions("{{demonstrations}}", instructions).count("\n") == len(instructions)


@pytest.mark.parametrize("template", ["no marker", "{{demonstrations}} {{demonstrations}}", "{demonstrations}"])
def test_a_template_without_exactly_one_marker_is_an_error(template: str) -> None:
    with pytest.raises(TemplateError, match=r"\{\{demonstrations\}\} exactly once"):
        render_instructions(template, ["Go"])
    with pytest.raises(TemplateError, match=r"\{\{demonstrations\}\} exactly once"):
        render_alpaca(template, [])
    with pytest.raises(TemplateError, match=r"\{\{instruction\}\} exactly once"):
        render_instruction(template, "Go")
