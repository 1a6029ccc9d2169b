"""Prompts from templates. All markers and placeholders are replaced at once, so no value can pass for one of them."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from service.errors import TemplateError
from service.selfinstruct.tasks import Instance

DEMONSTRATIONS = "{{demonstrations}}"
INSTRUCTION = "{{instruction}}"
_NO_INPUT = "<noinput>"

NO_VALUES: Mapping[str, str] = MappingProxyType({})


def render_instructions(template: str, instructions: Sequence[str], subject: Mapping[str, str] = NO_VALUES) -> str:
    """Return the prompt that asks for more instructions; it ends with the number of the next one (`9.`).

    Blanks at the end of the template are removed. Follows `encode_prompt` of self-instruct. `subject` has the values of
    the placeholders of the subject.

    Raises:
        TemplateError: the template does not contain `{{demonstrations}}` exactly once.
    """
    lines = [f"{number}. {one_line(instruction)}" for number, instruction in enumerate(instructions, start=1)]
    return fill(template.rstrip(), DEMONSTRATIONS, "\n".join([*lines, f"{len(lines) + 1}."]), subject)


def render_alpaca(
    template: str, demonstrations: Sequence[tuple[str, Instance]], subject: Mapping[str, str] = NO_VALUES
) -> str:
    """Return the prompt that shows (instruction, instance) pairs and asks for more; it ends with `4. Instruction:`.

    Blanks at the end of the template are removed. Follows `encode_prompt` of stanford_alpaca.

    Raises:
        TemplateError: the template does not contain `{{demonstrations}}` exactly once.
    """
    shown = [_alpaca_block(number, *task) for number, task in enumerate(demonstrations, start=1)]
    opening = f"###\n{len(shown) + 1}. Instruction:"
    return fill(template.rstrip(), DEMONSTRATIONS, "".join([*shown, opening]), subject)


def render_instruction(template: str, instruction: str, subject: Mapping[str, str] = NO_VALUES) -> str:
    """Return the prompt that asks about one instruction: whether it is classification, or for its instances.

    Blanks at the end of the template are kept: in the original, a prompt for instances ends with a line feed.

    Raises:
        TemplateError: the template does not contain `{{instruction}}` exactly once.
    """
    return fill(template, INSTRUCTION, instruction.strip(), subject)


def _alpaca_block(number: int, instruction: str, instance: Instance) -> str:
    return (
        f"###\n{number}. Instruction: {one_line(instruction)}\n"
        f"{number}. Input:\n{instance.input or _NO_INPUT}\n"
        f"{number}. Output:\n{instance.output}\n"
    )


def one_line(instruction: str) -> str:
    """Return an instruction as prompts show it: on one line, without the colons at its end."""
    return " ".join(instruction.split()).rstrip(":")


def check_marker(template: str, marker: str) -> None:
    """Raise unless a template contains the marker exactly once.

    Raises:
        TemplateError: the template has no such marker, or several.
    """
    if (found := template.count(marker)) != 1:
        raise TemplateError(
            f"a template needs the marker {marker} exactly once and has it {found} times: correct the file"
        )


def fill(template: str, marker: str, text: str, subject: Mapping[str, str] = NO_VALUES) -> str:
    """Return a template with its marker and the placeholders of the subject replaced.

    Raises:
        TemplateError: the template does not contain the marker exactly once.
    """
    check_marker(template, marker)
    return fill_placeholders(template, {**subject, marker: text})


def fill_placeholders(text: str, values: Mapping[str, str]) -> str:
    """Return a text with these placeholders replaced; placeholders within a value stay as they are."""
    if not values:
        return text
    return re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], text)
