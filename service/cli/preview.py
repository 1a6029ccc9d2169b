"""`seedstream preview`: finish ten tasks without storing them."""

import tempfile

import anyio
import typer

from service.cli import options

_TASKS = 10


@options.expand_groups
def preview(
    *,
    target: options.Target = _TASKS,
    recipe: options.RecipeOptions,
    model: options.ModelOptions,
    concurrency: options.Concurrency = None,
    patience: options.Patience = None,
    seed: options.Seed = None,
) -> None:
    """Finish a few tasks and print them; nothing is stored, the calls are paid for."""
    from service.cli.run_to_target import refuse_early, run_to_target  # noqa: PLC0415 - `--help` needs none of it
    from service.run.definition import AskedRun  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="seedstream-preview-") as folder:
        settings = options.settings_from(
            options.RunOptions(broker=f"sqlite:{folder}", run="preview"),
            recipe,
            model,
            target=target,
            concurrency=concurrency,
            patience=patience,
            seed=seed,
            state_dir=folder,
        )
        asked = AskedRun(settings)
        refuse_early(asked)
        raise typer.Exit(anyio.run(run_to_target, asked, "nothing was stored"))
