"""Prompt templates, the marker that each must contain, and the placeholders that it may contain.

Placeholders whose values are the same in all prompts of a run are filled in when the run is defined, and lines with a
placeholder that has no value are left out. So the definition holds final texts, except for the marker and the subject.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

from msgspec import UNSET, UnsetType

from service.selfinstruct.recipe import RECIPES, Form, Language, Recipe, RecipeName
from service.selfinstruct.steps import Step
from service.selfinstruct.subject import ABOUT, NO_SUBJECT, TOPIC, Subject

# The marker that each template must contain exactly once.
MARKERS = {
    "instructions": "{{demonstrations}}",
    "instructions_classification": "{{demonstrations}}",
    "classification": "{{instruction}}",
    "instances_generation": "{{instruction}}",
    "instances_classification": "{{instruction}}",
    "alpaca": "{{demonstrations}}",
    "json_instructions": "{{demonstrations}}",
    "json_instructions_classification": "{{demonstrations}}",
    "json_classification": "{{instruction}}",
    "json_instances_generation": "{{instruction}}",
    "json_instances_classification": "{{instruction}}",
    "json_alpaca": "{{demonstrations}}",
}

# The number of tasks to write, and that of the list with the tasks shown.
TASKS = "{{tasks}}"
ALL_TASKS = "{{all_tasks}}"
# Lines with these are for recipes for English, and for those for any language.
ENGLISH = "{{english}}"
ANY_LANGUAGE = "{{any_language}}"
# The placeholders that a template may contain, any number of times; lines with the first ones are not in every run.
OF_LINES = (ABOUT, TOPIC, ENGLISH, ANY_LANGUAGE)
PLACEHOLDERS = (*OF_LINES, TASKS, ALL_TASKS)

_JSON = "json_"


def names_of(form: Form) -> list[str]:
    """Return the names of the templates of a form."""
    return [name for name in MARKERS if name.startswith(_JSON) == (form is Form.JSON)]


@dataclass(frozen=True, slots=True)
class Templates:
    """One template for each kind of prompt; field names are file names without `.txt`. A run has those of its forms.

    A template of the form JSON is two messages: the text above the first line `---` is the system message, the rest the
    user message. `subject` fills the placeholders of the subject; it is not set for a run without one.
    """

    instructions: str = ""
    instructions_classification: str = ""
    classification: str = ""
    instances_generation: str = ""
    instances_classification: str = ""
    alpaca: str = ""
    json_instructions: str = ""
    json_instructions_classification: str = ""
    json_classification: str = ""
    json_instances_generation: str = ""
    json_instances_classification: str = ""
    json_alpaca: str = ""
    subject: Subject | UnsetType = UNSET

    @classmethod
    def of(cls, texts: Mapping[str, Any]) -> "Templates":
        """Return the templates with these texts, by name."""
        return cls(**texts)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any character of any template, and of the subject."""
        return _digest(self)

    @property
    def run_subject(self) -> Subject:
        """The subject of the run, all of it empty for a run without one."""
        return NO_SUBJECT if isinstance(self.subject, UnsetType) else self.subject

    def prepared(self, recipe: Recipe, subject: Subject = NO_SUBJECT) -> "Templates":
        """Return the templates of a run, from those that files contain."""
        mine, other = ENGLISH, ANY_LANGUAGE
        if recipe.filters.language is Language.ANY:
            mine, other = other, mine
        unset = {ABOUT, TOPIC, other} - subject.placeholders
        texts: dict[str, str] = {}
        for name in MARKERS:
            written, all_tasks = _numbers_of_tasks(name, recipe)
            text = without_lines(getattr(self, name), unset).replace(mine, "")
            texts[name] = text.replace(TASKS, str(written)).replace(ALL_TASKS, str(all_tasks))
        return replace(self, **texts, subject=UNSET if subject == NO_SUBJECT else subject)


def _numbers_of_tasks(name: str, recipe: Recipe) -> tuple[int, int]:
    """Return how many tasks a template asks for, and how many there are then; as published if the recipe is another."""
    of = RecipeName.ALPACA if name.removeprefix(_JSON) == "alpaca" else RecipeName.SELF_INSTRUCT
    own = recipe if recipe.name is of else RECIPES[of]
    return own.most_tasks, own.human_demonstrations + own.machine_demonstrations + own.most_tasks


def without_lines(template: str, placeholders: Collection[str]) -> str:
    """Return a template without the lines that contain one of these placeholders.

    A blank line behind such a line is left out too if it would follow another blank line, or begin the template.
    """
    kept: list[str] = []
    has_left_out = False
    for line in template.split("\n"):
        if any(each in line for each in placeholders):
            has_left_out = True
        elif has_left_out and not line.strip() and not (kept and kept[-1].strip()):
            has_left_out = False
        else:
            has_left_out = False
            kept.append(line)
    return "\n".join(kept)


def used_templates(recipe: Recipe) -> list[str]:
    """Return the names of the templates that the prompts of a recipe are written from; those for tasks come first."""
    if recipe.name is RecipeName.ALPACA:
        names = ["alpaca"]
    else:
        names = ["instructions", "classification", "instances_generation", "instances_classification"]
        if recipe.classification_prompts:
            names.insert(1, "instructions_classification")
    return [f"{_JSON}{name}" if recipe.of(_step_of(name)).form is Form.JSON else name for name in names]


def _step_of(name: str) -> Step:
    """Return the step whose prompts are written from a template of this name."""
    if name.startswith("instances"):
        return Step.INSTANCES
    return Step.CLASSIFICATION if name == "classification" else Step.INSTRUCTIONS


def merged(templates: Iterable[Templates]) -> Templates:
    """Return the templates of several forms together, as files contain them."""
    return Templates(**{name: text for each in templates for name in MARKERS if (text := getattr(each, name))})


@lru_cache(maxsize=16)
def _digest(templates: Templates) -> str:
    sha = hashlib.sha256()
    for field in fields(templates):
        if field.name not in MARKERS:
            continue
        text: str = getattr(templates, field.name)
        if text or not field.name.startswith(_JSON):
            sha.update(f"{field.name}\0{len(text)}\0{text}\0".encode())
    if not isinstance(templates.subject, UnsetType):
        sha.update(json.dumps(asdict(templates.subject), sort_keys=True).encode())
    return sha.hexdigest()[:16]
