"""A warning about examples in templates that are not in the language of the seeds."""

from collections.abc import Iterator, Sequence

from service.selfinstruct.recipe import Recipe
from service.selfinstruct.tasks import SeedTask
from service.selfinstruct.templates import Templates, used_templates

# Templates with whole examples of instances, which a base model goes on with.
_WITH_EXAMPLES = ("instances_generation", "instances_classification")


def example_warnings(recipe: Recipe, templates: Templates, seeds: Sequence[SeedTask]) -> Iterator[str]:
    """Yield a line if the seeds are in another script than the examples of instances that the model is shown."""
    shown = [name for name in used_templates(recipe) if name in _WITH_EXAMPLES]
    latin = [name for name in shown if _is_ascii(getattr(templates, name))]
    foreign = sum(not _is_ascii(seed.instruction) for seed in seeds)
    if latin and 2 * foreign > len(seeds):
        files = " and ".join(f"{name}.txt" for name in latin)
        yield (
            f"the examples in {files} are not in the script of the seeds, and a base model writes inputs and outputs "
            "like them; `--templates` replaces them, and a chat model is asked without examples"
        )


def _is_ascii(text: str) -> bool:
    """Return whether most letters of a text are those of English."""
    letters = [character for character in text if character.isalpha()]
    return 2 * sum(character.isascii() for character in letters) >= len(letters)
