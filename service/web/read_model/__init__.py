"""A copy of a run in SQLite, filled from its topics, that answers the questions of the web process."""

from service.web.read_model.model import ReadModel

__all__ = ["ReadModel"]
