"""Prompt templates, and the markers that values replace."""

import hashlib
from dataclasses import dataclass, fields
from functools import lru_cache

from service.selfinstruct.recipe import Form

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

_JSON = "json_"


def names_of(form: Form) -> list[str]:
    """Return the names of the templates of a form."""
    return [name for name in MARKERS if name.startswith(_JSON) == (form is Form.JSON)]


@dataclass(frozen=True, slots=True)
class Templates:
    """One template for each kind of prompt; field names are file names without `.txt`. A run has those of its form.

    A template of the form JSON is two messages: the text above the first line `---` is the system message, the rest the
    user message.
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

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any character of any template."""
        return _digest(self)


@lru_cache(maxsize=16)
def _digest(templates: Templates) -> str:
    sha = hashlib.sha256()
    for field in fields(templates):
        text: str = getattr(templates, field.name)
        if text or not field.name.startswith(_JSON):
            sha.update(f"{field.name}\0{len(text)}\0{text}\0".encode())
    return sha.hexdigest()[:16]
