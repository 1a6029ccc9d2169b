"""Prompts from templates. Each marker is replaced literally and once, so no value can pass for a marker."""

from collections.abc import Sequence

from service.errors import TemplateError
from service.selfinstruct.tasks import Instance

DEMONSTRATIONS = "{{demonstrations}}"
INSTRUCTION = "{{instruction}}"
_NO_INPUT = "<noinput>"


def render_instructions(template: str, instructions: Sequence[str]) -> str:
    """Return the prompt that asks for more instructions; it ends with the number of the next one (`9.`).

    Blanks at the end of the template are removed. Follows `encode_prompt` of self-instruct.

    Raises:
        TemplateError: the template does not contain `{{demonstrations}}` exactly once.
    """
    lines = [f"{number}. {one_line(instruction)}" for number, instruction in enumerate(instructions, start=1)]
    return _fill(template.rstrip(), DEMONSTRATIONS, "\n".join([*lines, f"{len(lines) + 1}."]))


def render_alpaca(template: str, demonstrations: Sequence[tuple[str, Instance]]) -> str:
    """Return the prompt that shows (instruction, instance) pairs and asks for more; it ends with `4. Instruction:`.

    Blanks at the end of the template are removed. Follows `encode_prompt` of stanford_alpaca.

    Raises:
        TemplateError: the template does not contain `{{demonstrations}}` exactly once.
    """
    shown = [_alpaca_block(number, *task) for number, task in enumerate(demonstrations, start=1)]
    opening = f"###\n{len(shown) + 1}. Instruction:"
    return _fill(template.rstrip(), DEMONSTRATIONS, "".join([*shown, opening]))


def render_instruction(template: str, instruction: str) -> str:
    """Return the prompt that asks about one instruction: whether it is classification, or for its instances.

    Blanks at the end of the template are kept: in the original, a prompt for instances ends with a line feed.

    Raises:
        TemplateError: the template does not contain `{{instruction}}` exactly once.
    """
    return _fill(template, INSTRUCTION, instruction.strip())


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


def _fill(template: str, marker: str, text: str) -> str:
    check_marker(template, marker)
    return template.replace(marker, text)
