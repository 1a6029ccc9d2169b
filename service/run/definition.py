"""The definition of a run: fixed when the run is created, compared with the settings of every later command."""

from dataclasses import asdict, replace
from functools import cached_property
from importlib.metadata import version
from typing import NamedTuple

from service.dataset.seed_ids import with_own_ids
from service.dataset.seed_sizes import check_prompts_fit
from service.dataset.seed_warnings import check_seeds
from service.dataset.seeds import load_seeds, seeds_digest
from service.dataset.subjects import load_subject
from service.dataset.templates import forms_in, read_every_form, read_templates
from service.errors import ConfigurationError, RunMismatchError, SubjectError
from service.messaging import codec
from service.messaging.messages import RunDefined
from service.messaging.record_size import MAX_RECORD_BYTES, size_of
from service.run.asked_recipe import AskedRecipe
from service.run.differences import differences_of, subject_differences
from service.selfinstruct.recipe import Form, Recipe, SemanticFilter, StepForm, recipe_in
from service.selfinstruct.steps import Step
from service.selfinstruct.subject import Subject
from service.selfinstruct.tasks import SeedTask
from service.selfinstruct.templates import MARKERS, Templates, merged
from service.settings import Settings

# Room for the rest of a record beside the definition in it.
_HEADROOM_BYTES = 4 * 1024


class NewRun(NamedTuple):
    """The definition of a run that is not on the log yet, with its seed tasks, whose ids are the run's own."""

    definition: RunDefined
    seeds: tuple[SeedTask, ...]


class AskedRun:
    """The run that the settings describe; each file is read once, on first use, and the definition is built once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._files: dict[Form, Templates] = {}

    @cached_property
    def seeds(self) -> tuple[SeedTask, ...]:
        """Seed tasks from the user's file, else the bundled ones.

        Raises:
            SeedTaskError: the file cannot be read, or contains something other than seed tasks.
        """
        return load_seeds(self.settings.seeds)

    @cached_property
    def new(self) -> NewRun:
        """Definition and seed tasks for creating the run.

        Raises:
            ConfigurationError: seeds or templates cannot be read, there are too few seeds for one prompt, or the
                recipe's own filters would reject all of them.
        """
        return _define(self)

    @cached_property
    def recipe(self) -> AskedRecipe:
        """Recipe of the settings."""
        return AskedRecipe(self.settings)

    @cached_property
    def new_recipe(self) -> Recipe:
        """Recipe of a new run.

        Raises:
            RecipeError: the recipe file cannot be used.
            TemplateError: the folder of templates cannot be used.
        """
        forms = {step: _step_form(self.settings.of_step(step)) for step in Step}
        recipe = self.recipe.changed(recipe_in(self.recipe.name, forms))
        if self.settings.compares_meanings:
            recipe = replace(recipe, semantic=SemanticFilter(threshold=self.settings.semantic_threshold))
        return recipe

    @cached_property
    def subject(self) -> Subject:
        """Subject of the run, empty unless the settings have one.

        Raises:
            SubjectError: the text or the file of the subject or of the system prompt is not usable.
        """
        return load_subject(self.settings.about, self.settings.system_prompt)

    def templates(self, recipe: Recipe, subject: Subject) -> Templates:
        """Return the templates for a recipe and a subject; the files of a form are read once.

        Raises:
            TemplateError: the user's folder has no template of any of the recipe's forms, or one is invalid.
        """
        folder = self.settings.templates
        mine = forms_in(folder) if folder is not None else set()
        for form in recipe.forms - self._files.keys():
            # A folder need not have templates of all forms of a run that has several.
            self._files[form] = read_templates(folder if form in mine or not recipe.forms & mine else None, form)
        return merged(self._files[form] for form in sorted(recipe.forms)).prepared(recipe, subject)

    def check_files(self) -> None:
        """Load seeds, recipe, subject, and the templates of every form; an existing run has its own form.

        Raises:
            RecipeError: the recipe file cannot be used.
            SeedTaskError: as for `seeds`.
            SubjectError: as for `subject`.
            TemplateError: the folder has no template, or one is invalid.
        """
        _ = self.seeds
        _ = self.recipe.file
        _ = self.subject
        self._files.update(read_every_form(self.settings.templates))


def _define(asked: AskedRun) -> NewRun:
    settings = asked.settings
    recipe, seeds = asked.new_recipe, asked.seeds
    needed = recipe.human_demonstrations + recipe.machine_demonstrations
    if len(seeds) < needed:
        raise ConfigurationError(
            f"recipe {recipe.name} shows {needed} tasks in a prompt; expected at least as many seed tasks, "
            f"got {len(seeds)}"
        )
    check_seeds(recipe, seeds)
    templates = asked.templates(recipe, asked.subject)
    check_prompts_fit(recipe, templates, seeds)
    definition = RunDefined(
        run=settings.run,
        recipe=recipe,
        templates=templates,
        seeds=seeds_digest(seeds),
        seed_count=len(seeds),
        random_seed=settings.seed,
        made_by=f"seedstream {version('seedstream')}",
    )
    _check_fits(definition)
    return NewRun(definition, with_own_ids(seeds))


def _check_fits(definition: RunDefined) -> None:
    """Raise unless the definition fits a record: the texts of many topics may not.

    Raises:
        SubjectError: it is too long.
    """
    size = size_of(codec.encode(definition, definition.run))
    if size > MAX_RECORD_BYTES - _HEADROOM_BYTES:
        raise SubjectError(
            f"expected a definition of at most {MAX_RECORD_BYTES - _HEADROOM_BYTES} bytes, got {size}: shorten the "
            "texts of the topics, or the templates"
        )


def _step_form(settings: Settings) -> StepForm:
    """Return how a step of a new run asks, from the settings of the step."""
    return StepForm(form_for(settings), settings.api == "chat")


def form_for(settings: Settings) -> Form:
    """Return the form of a new run: the setting, else JSON for chat unless the user has text templates only."""
    if settings.asked_form is not None:
        return settings.asked_form
    has_texts = settings.templates is not None and forms_in(settings.templates) == {Form.TEXT}
    return Form.TEXT if settings.api == "completions" or has_texts else Form.JSON


def check_same(existing: RunDefined, asked: AskedRun) -> None:
    """Raise unless every explicit setting matches the existing run; a setting that was not given always matches.

    Raises:
        RunMismatchError: the message lists every difference.
    """
    settings = asked.settings
    given = settings.model_fields_set
    asked_recipe = _asked_recipe(existing.recipe, asked)
    differences = _recipe_differences(existing.recipe, asked_recipe)
    if "seeds" in given and (digest := seeds_digest(asked.seeds)) != existing.seeds:
        differences.append(
            f"seeds: the run has {existing.seed_count} with digest {existing.seeds}, "
            f"asked for {len(asked.seeds)} with digest {digest}"
        )
    subject = existing.templates.run_subject
    if not given.isdisjoint(("about", "system_prompt")):
        differences += subject_differences(subject, asked.subject, given)
        subject = asked.subject
    if "templates" in given:
        asked_templates = asked.templates(existing.recipe, subject)
        differences += differences_of("templates", _texts(existing.templates), _texts(asked_templates))
    if "seed" in given and settings.seed != existing.random_seed:
        differences.append(f"seed: the run has {existing.random_seed}, asked for {settings.seed}")
    differences = _form_differences(existing.recipe, asked_recipe) or differences
    if differences:
        raise RunMismatchError(
            f"run {existing.run!r} exists with other settings:\n  "
            + "\n  ".join(differences)
            + "\nLeave these options out to go on with it, or give a new name with --run."
        )


def _recipe_differences(has: Recipe, asked: Recipe) -> list[str]:
    """Return a line for each field that differs, or the names alone of two recipes."""
    if has.name != asked.name:
        return [f"recipe: the run has {has.name}, asked for {asked.name}"]
    return differences_of("recipe", asdict(has), asdict(asked))


def _texts(templates: Templates) -> dict[str, str]:
    return {name: getattr(templates, name) for name in MARKERS}


def _form_differences(has: Recipe, asked: Recipe) -> list[str]:
    """Return a line for each step that asks in another form; one line where all steps of both have one form."""
    whole = len(has.forms) == len(asked.forms) == 1
    lines = [
        f"{'form' if whole else f'form of {step}'}: the run asks in {has.of(step).form.value}, "
        f"asked for {asked.of(step).form.value}"
        for step in has.steps
        if has.of(step).form is not asked.of(step).form
    ]
    return list(dict.fromkeys(lines))


def _asked_recipe(existing: Recipe, asked: AskedRun) -> Recipe:
    """Return the recipe that the settings ask for: the run's own as far as they say nothing else.

    A published recipe is asked for by its name alone, which a run keeps whose filters were changed.
    """
    settings, file = asked.settings, asked.recipe.file
    given = settings.model_fields_set
    forms = {
        step: replace(own, form=settings.of_step(step).asked_form or own.form)
        for step, own in existing.step_forms.items()
    }
    name = asked.recipe.name if "recipe" in given else existing.name
    recipe = existing
    if file is not None or (name, forms) != (existing.name, existing.step_forms):
        recipe = recipe_in(name, forms)
    recipe = asked.recipe.changed(recipe)
    semantic = recipe.semantic if file is not None and file.compares_meanings else existing.semantic
    if "semantic" in given:
        semantic = (semantic or SemanticFilter()) if settings.compares_meanings else None
    if settings.semantic_threshold is not None:
        semantic = replace(semantic or SemanticFilter(), threshold=settings.semantic_threshold)
    return replace(recipe, semantic=semantic)
