"""The steps of Self-Instruct that call the model."""

from enum import StrEnum


class Step(StrEnum):
    """A step that calls the model; the values are the names of its table in `[stages]` of the settings."""

    INSTRUCTIONS = "instructions"
    CLASSIFICATION = "classification"
    INSTANCES = "instances"

    @property
    def stage(self) -> str:
        """Name of the stage that does this step, as in the bill and among the roles."""
        return _STAGES[self]


_STAGES = {Step.INSTRUCTIONS: "generate", Step.CLASSIFICATION: "classify", Step.INSTANCES: "instances"}
