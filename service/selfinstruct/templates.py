"""The texts that prompts are made of, and the markers where values go in."""

import hashlib
from dataclasses import dataclass, fields
from functools import lru_cache

# The marker that each template must hold, exactly once.
MARKERS = {
    "instructions": "{{demonstrations}}",
    "instructions_classification": "{{demonstrations}}",
    "classification": "{{instruction}}",
    "instances_generation": "{{instruction}}",
    "instances_classification": "{{instruction}}",
    "alpaca": "{{demonstrations}}",
}


@dataclass(frozen=True, slots=True)
class Templates:
    """One text for each kind of prompt; field names are file names without `.txt`."""

    instructions: str
    instructions_classification: str
    classification: str
    instances_generation: str
    instances_classification: str
    alpaca: str

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any character of any template."""
        return _digest(self)


@lru_cache(maxsize=16)
def _digest(templates: Templates) -> str:
    sha = hashlib.sha256()
    for field in fields(templates):
        text: str = getattr(templates, field.name)
        sha.update(f"{field.name}\0{len(text)}\0{text}\0".encode())
    return sha.hexdigest()[:16]
