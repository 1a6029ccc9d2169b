"""`seedstream preview`: ten tasks to look at, nothing stored."""

import tempfile

import anyio
import typer

from service.cli import options
from service.cli.run import refuse_early, run_to_target

_TASKS = 10


def preview(
    target: options.Target = _TASKS,
    recipe: options.Recipe = None,
    form: options.Form = None,
    semantic: options.Semantic = None,
    semantic_threshold: options.SemanticThreshold = None,
    seeds: options.Seeds = None,
    templates: options.Templates = None,
    lm: options.Lm = None,
    lm_url: options.LmUrl = None,
    model: options.Model = None,
    model_file: options.ModelFile = None,
    lm_api: options.LmApi = None,
    lm_dialect: options.LmDialect = None,
    lm_api_key_file: options.LmApiKeyFile = None,
    concurrency: options.Concurrency = None,
    seed: options.Seed = None,
) -> None:
    """Finish a few tasks to look at; nothing is stored."""
    flags = locals()
    with tempfile.TemporaryDirectory(prefix="seedstream-preview-") as folder:
        settings = options.settings_from(**flags, broker=f"sqlite:{folder}", run="preview")
        refuse_early(settings)
        raise typer.Exit(anyio.run(run_to_target, settings, "nothing was stored"))
