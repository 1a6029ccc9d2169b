"""Warnings about a subject that prompts do not name, given before any call is paid for."""

from collections.abc import Iterator, Sequence

from service.selfinstruct.recipe import Recipe
from service.selfinstruct.subject import ABOUT, TOPIC
from service.selfinstruct.templates import Templates, used_templates


def subject_warnings(recipe: Recipe, templates: Templates) -> Iterator[str]:
    """Yield a line for each part of a run's subject that does not reach all of its prompts."""
    subject, used = templates.run_subject, used_templates(recipe)
    prompts = list(subject.system_prompts())
    if subject.about and (missing := _without(templates, used, ABOUT, prompts)):
        if len(missing) == len(used):
            yield f"the model is never told what the tasks are about: no template in use has {ABOUT}"
        else:
            yield f"these prompts do not say what the tasks are about: {_files(missing)} without {ABOUT}"
    if subject.topics and all(topic.system for topic in subject.topics):
        return
    if subject.topics and (missing := _without(templates, used, TOPIC, prompts)):
        if missing[0] == used[0]:
            yield f"topics make no difference to the tasks that the model writes: {used[0]}.txt has no {TOPIC}"
        else:
            yield f"these prompts do not name their topic: {_files(missing)} without {TOPIC}"


def _without(templates: Templates, used: Sequence[str], placeholder: str, system_prompts: Sequence[str]) -> list[str]:
    """Return the names of the templates that lack a placeholder; none if every system prompt has it."""
    if all(placeholder in prompt for prompt in system_prompts):
        return []
    return [name for name in used if placeholder not in getattr(templates, name)]


def _files(names: Sequence[str]) -> str:
    return ", ".join(f"{name}.txt" for name in names)
