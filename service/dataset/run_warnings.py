"""All warnings about a new run, given before any call is paid for."""

from collections.abc import Iterator, Sequence

from service.dataset.example_warnings import example_warnings
from service.dataset.seed_warnings import seed_warnings
from service.dataset.subject_warnings import subject_warnings
from service.selfinstruct.recipe import Recipe
from service.selfinstruct.tasks import SeedTask
from service.selfinstruct.templates import Templates


def run_warnings(recipe: Recipe, templates: Templates, seeds: Sequence[SeedTask]) -> Iterator[str]:
    """Yield a line for each problem of the seeds, the templates and the subject; seeds are untrusted text."""
    yield from seed_warnings(recipe, seeds)
    yield from example_warnings(recipe, templates, seeds)
    yield from subject_warnings(recipe, templates)
