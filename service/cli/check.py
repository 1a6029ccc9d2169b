"""`seedstream check`: test everything that a run needs before it costs money."""

import anyio

from service.cli import options
from service.telemetry.log_setup import configure_logging


@options.expand_groups
def check(
    *,
    run: options.RunOptions,
    recipe: options.RecipeOptions,
    target: options.Target = None,
    model: options.ModelOptions,
    prices: options.PriceOptions,
) -> None:
    """Test seeds, templates, the log and the model's server, and make one paid call of each step.

    Exit codes: 0 everything works; 2 a setting is wrong, or no reply of the model can be read; 5 the language model
    refuses every call.
    """
    from service.cli.checks import check_all  # noqa: PLC0415 - `--help` needs none of it

    settings = options.settings_from(run, recipe, model, prices, target=target)
    if "log_level" not in settings.model_fields_set:  # its own lines say what the log would
        configure_logging(settings.model_copy(update={"log_level": "error"}))
    anyio.run(check_all, settings)
