"""Prompts of each step, in the recipe's form, and the schemas of the replies."""

import json
import re
from collections.abc import Mapping, Sequence
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
    fill_placeholders,
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
    recipe: Recipe,
    templates: Templates,
    shown: Sequence[Demonstration],
    *,
    only_classification: bool = False,
    topic: str | None = None,
) -> ModelInput:
    """Return the prompt that shows these tasks and asks for more: instructions, or under Alpaca whole tasks.

    Alpaca shows only the tasks with an instance. `only_classification` asks for classification tasks; Alpaca has no
    template for that and ignores it. `topic` is a topic of the run's subject.

    Raises:
        TemplateError: a template does not contain its marker exactly once.
    """
    subject = templates.run_subject.values(topic)
    if recipe.name is RecipeName.ALPACA:
        asked = _ask_for_whole_tasks(recipe.form, templates, shown, subject)
    else:
        instructions = [instruction for instruction, _ in shown]
        asked = _ask_for_instructions(
            recipe.form, templates, instructions, subject, only_classification=only_classification
        )
    return _with_system(asked, templates, topic)


def _ask_for_whole_tasks(
    form: Form, templates: Templates, shown: Sequence[Demonstration], subject: Mapping[str, str]
) -> ModelInput:
    whole = [(instruction, instance) for instruction, instance in shown if instance is not None]
    if form is Form.TEXT:
        return ModelInput(render_alpaca(templates.alpaca, whole, subject))
    tasks = [
        {"instruction": one_line(instruction), "input": instance.input, "output": instance.output}
        for instruction, instance in whole
    ]
    return _messages(templates.json_alpaca, DEMONSTRATIONS, _listed(tasks), TASKS, subject)


def _ask_for_instructions(
    form: Form,
    templates: Templates,
    instructions: Sequence[str],
    subject: Mapping[str, str],
    *,
    only_classification: bool,
) -> ModelInput:
    if form is Form.TEXT:
        template = templates.instructions_classification if only_classification else templates.instructions
        return ModelInput(render_instructions(template, instructions, subject))
    template = templates.json_instructions_classification if only_classification else templates.json_instructions
    listed = _listed([one_line(each) for each in instructions])
    return _messages(template, DEMONSTRATIONS, listed, INSTRUCTIONS, subject)


def ask_whether_classification(
    recipe: Recipe, templates: Templates, instruction: str, topic: str | None = None
) -> ModelInput:
    """Return the prompt that asks whether an instruction, which is on this topic, is a classification task.

    Raises:
        TemplateError: a template does not contain its marker exactly once.
    """
    subject = templates.run_subject.values(topic)
    if recipe.form is Form.TEXT:
        asked = ModelInput(render_instruction(templates.classification, instruction, subject))
    else:
        asked = _messages(templates.json_classification, INSTRUCTION, instruction.strip(), CLASSIFICATION, subject)
    return _with_system(replace(asked, check=_YES_OR_NO), templates, topic)


def ask_for_instances(
    recipe: Recipe, templates: Templates, instruction: str, *, is_classification: bool, topic: str | None = None
) -> ModelInput:
    """Return the prompt that asks for instances of an instruction on this topic, output first for classification.

    Raises:
        TemplateError: a template does not contain its marker exactly once.
    """
    subject = templates.run_subject.values(topic)
    if recipe.form is Form.TEXT:
        template = templates.instances_classification if is_classification else templates.instances_generation
        return _with_system(ModelInput(render_instruction(template, instruction, subject)), templates, topic)
    if is_classification:
        template, schema = templates.json_instances_classification, CLASSIFICATION_INSTANCES
    else:
        template, schema = templates.json_instances_generation, GENERATION_INSTANCES
    asked = _messages(template, INSTRUCTION, instruction.strip(), schema, subject)
    return _with_system(asked, templates, topic)


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


def _with_system(asked: ModelInput, templates: Templates, topic: str | None) -> ModelInput:
    """Return a prompt with the run's own system prompt before the template's system message."""
    subject = templates.run_subject
    own = fill_placeholders(subject.system_prompt(topic), subject.values(topic))
    return replace(asked, system=f"{own}\n\n{asked.system}".rstrip()) if own else asked


def _messages(template: str, marker: str, value: str, schema: AnswerSchema, subject: Mapping[str, str]) -> ModelInput:
    """Fill in a template, split at its first line `---`: the system message stands above that line."""
    check_marker(template, marker)
    values = {**subject, marker: value}
    *system, text = [fill_placeholders(part, values).strip() for part in _NEXT_MESSAGE.split(template, maxsplit=1)]
    return ModelInput(text, "".join(system), schema)


def _listed(values: Sequence[object]) -> str:
    """Return values as a JSON list, one per line."""
    return "[\n" + ",\n".join(json.dumps(value, ensure_ascii=False) for value in values) + "\n]"
