"""Settings, read from flags, then `SEEDSTREAM_*` variables, then `seedstream.toml`, then defaults.

This package alone reads the environment. Recipe, form, seeds, templates, subject and random seed are fixed when a run
is defined. For an existing run, explicit values of these settings must match its definition.
"""

from service.settings.loading import load_settings, origins
from service.settings.settings import KAFKA_PARTITIONS, KAFKA_SCHEME, RUN_NAME, TOML_FILE, ModelId, Settings
from service.settings.stages import LmApi, LmDialect, LmKind, StageSettings

__all__ = [
    "KAFKA_PARTITIONS",
    "KAFKA_SCHEME",
    "RUN_NAME",
    "TOML_FILE",
    "LmApi",
    "LmDialect",
    "LmKind",
    "ModelId",
    "Settings",
    "StageSettings",
    "load_settings",
    "origins",
]
