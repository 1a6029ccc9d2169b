"""Prompts of each step, in the recipe's form, and the schemas of the replies."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from service.selfinstruct.classification import is_classification
from service.selfinstruct.model_input import (
    CLASSIFICATION,
    CLASSIFICATION_INSTANCES,
    GENERATION_INSTANCES,
    INSTRUCTIONS,
    TASKS,
    AnswerCheck,
    AnswerSchema,
    ModelInput,
)
from service.selfinstruct.recipe import Form, Recipe, RecipeName
from service.selfinstruct.rendering import (
    DEMONSTRATIONS,
    INSTRUCTION,
    check_marker,
    one_line,
    render_alpaca,
    render_instruction,
    render_instructions,
)
from service.selfinstruct.tasks import Instance
from service.selfinstruct.templates import Templates

_NEXT_MESSAGE = re.compile(r"^---[ \t]*\n", re.MULTILINE)

_YES_OR_NO = AnswerCheck("yes or no", lambda reply: is_classification(reply) is not None)

Demonstration = tuple[str, Instance | None]


def ask_for_tasks(
    recipe: Recipe, templates: Templates, shown: Sequence[Demonstration], *, only_classification: bool = False
) -> ModelInput:
    """Return the prompt that shows these tasks and asks for more: instructions, or under Alpaca whole tasks.

    Alpaca shows only the tasks with an instance. `only_classification` asks for classification tasks; Alpaca has no
    template for that and ignores it.

    Raises:
        TemplateError: a template does not contain its marker exactly once.
    """
    instructions = [instruction for instruction, _ in shown]
    whole = [(instruction, instance) for instruction, instance in shown if instance is not None]
    if recipe.form is Form.TEXT:
        if recipe.name is RecipeName.ALPACA:
            return ModelInput(render_alpaca(templates.alpaca, whole))
        template = templates.instructions_classification if only_classification else templates.instructions
        return ModelInput(render_instructions(template, instructions))
    if recipe.name is RecipeName.ALPACA:
        tasks = [
            {"instruction": one_line(instruction), "input": instance.input, "output": instance.output}
            for instruction, instance in whole
        ]
        return _messages(templates.json_alpaca, DEMONSTRATIONS, _listed(tasks), TASKS)
    template = templates.json_instructions_classification if only_classification else templates.json_instructions
    return _messages(template, DEMONSTRATIONS, _listed([one_line(each) for each in instructions]), INSTRUCTIONS)


def ask_whether_classification(recipe: Recipe, templates: Templates, instruction: str) -> ModelInput:
    """Return the prompt that asks whether an instruction is a classification task.

    Raises:
        TemplateError: a template does not contain its marker exactly once.
    """
    if recipe.form is Form.TEXT:
        return ModelInput(render_instruction(templates.classification, instruction), check=_YES_OR_NO)
    asked = _messages(templates.json_classification, INSTRUCTION, instruction.strip(), CLASSIFICATION)
    return replace(asked, check=_YES_OR_NO)


def ask_for_instances(recipe: Recipe, templates: Templates, instruction: str, *, is_classification: bool) -> ModelInput:
    """Return the prompt that asks for instances of an instruction, output first for a classification task.

    Raises:
        TemplateError: a template does not contain its marker exactly once.
    """
    if recipe.form is Form.TEXT:
        template = templates.instances_classification if is_classification else templates.instances_generation
        return ModelInput(render_instruction(template, instruction))
    if is_classification:
        template, schema = templates.json_instances_classification, CLASSIFICATION_INSTANCES
    else:
        template, schema = templates.json_instances_generation, GENERATION_INSTANCES
    return _messages(template, INSTRUCTION, instruction.strip(), schema)


def expected_tasks(recipe: Recipe) -> str:
    """Describe the expected replies to `ask_for_tasks`, for messages to the user."""
    whole = recipe.name is RecipeName.ALPACA
    if recipe.form is Form.JSON:
        shape = '{"tasks": [{"instruction": …, "input": …, "output": …}]}' if whole else '{"instructions": […]}'
        return f"JSON such as {shape}"
    return "blocks of Instruction, Input and Output" if whole else "a numbered list, one task a line"


def expected_instances(recipe: Recipe) -> str:
    """Describe the expected replies to `ask_for_instances`, for messages to the user."""
    if recipe.form is Form.JSON:
        return 'JSON such as {"instances": [{"input": …, "output": …}]}'
    return "examples with the labels Input and Output, or Class label"


def _messages(template: str, marker: str, value: str, schema: AnswerSchema) -> ModelInput:
    """Fill in a template and split it at its first line `---`: the system message stands above that line."""
    check_marker(template, marker)
    *system, text = [part.replace(marker, value).strip() for part in _NEXT_MESSAGE.split(template, maxsplit=1)]
    return ModelInput(text, "".join(system), schema)


def _listed(values: Sequence[object]) -> str:
    """Return values as a JSON list, one per line."""
    return "[\n" + ",\n".join(json.dumps(value, ensure_ascii=False) for value in values) + "\n]"
