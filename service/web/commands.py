"""Commands that bring a run on, for answers to its operator."""

from service.settings import Settings


def work_command(settings: Settings) -> str:
    """Return the command that works on a run."""
    return f"seedstream {'worker ROLE…' if settings.on_kafka else 'run'} --run {settings.run}"


def goal_command(settings: Settings) -> str:
    """Return the command that sets the target of a run."""
    return f"seedstream goal --run {settings.run} --target N"
