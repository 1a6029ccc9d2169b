"""What a run is: fixed when it is first run, and compared whenever it is run again."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version

from service.dataset.seeds import load_seeds, seeds_digest
from service.dataset.templates import load_templates
from service.errors import ConfigurationError, RunMismatchError
from service.messages import RunDefined
from service.selfinstruct.recipe import RECIPES
from service.selfinstruct.tasks import SeedTask
from service.settings import Settings


def define(settings: Settings) -> tuple[RunDefined, tuple[SeedTask, ...]]:
    """Return the definition that the settings ask for, and its seed tasks.

    Raises:
        ConfigurationError: seeds or templates cannot be read, or there are too few seeds for one prompt.
    """
    recipe = RECIPES[settings.recipe]
    seeds = load_seeds(settings.seeds)
    needed = recipe.human_demonstrations + recipe.machine_demonstrations
    if len(seeds) < needed:
        raise ConfigurationError(
            f"recipe {recipe.name} shows {needed} tasks in a prompt; expected at least as many seed tasks, "
            f"got {len(seeds)}"
        )
    definition = RunDefined(
        run=settings.run,
        recipe=recipe,
        templates=load_templates(settings.templates),
        seeds=seeds_digest(seeds),
        seed_count=len(seeds),
        random_seed=settings.seed,
        made_by=f"seedstream {version('seedstream')}",
    )
    return definition, seeds


def check_same(existing: RunDefined, settings: Settings) -> None:
    """Check that what is asked for explicitly is what the run already is; anything not asked for is taken from it.

    Raises:
        RunMismatchError: shows every difference.
    """
    asked, _ = define(settings)
    given = settings.model_fields_set
    differences: list[str] = []
    if "recipe" in given and asked.recipe != existing.recipe:
        differences += _recipe_differences(existing, asked)
    if "seeds" in given and asked.seeds != existing.seeds:
        differences.append(
            f"seeds: the run has {existing.seed_count} with digest {existing.seeds}, "
            f"asked for {asked.seed_count} with digest {asked.seeds}"
        )
    if "templates" in given and asked.templates != existing.templates:
        differences.append(f"templates: the run has {existing.templates.digest}, asked for {asked.templates.digest}")
    if "seed" in given and asked.random_seed != existing.random_seed:
        differences.append(f"seed: the run has {existing.random_seed}, asked for {asked.random_seed}")
    if differences:
        raise RunMismatchError(
            f"run {existing.run!r} exists and is another one than asked for:\n  "
            + "\n  ".join(differences)
            + "\nLeave these options out to go on with it, or give a new name with --run."
        )


def _recipe_differences(existing: RunDefined, asked: RunDefined) -> Sequence[str]:
    has, wants = asdict(existing.recipe), asdict(asked.recipe)
    return [
        f"recipe.{knob}: the run has {has[knob]!r}, asked for {wants[knob]!r}"
        for knob in has
        if has[knob] != wants[knob]
    ]
