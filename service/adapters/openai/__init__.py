"""Language models on servers with an OpenAI-compatible HTTP API."""

from service.adapters.openai.description import Description
from service.adapters.openai.endpoint import OpenAIEndpoint
from service.adapters.openai.options import OpenAIOptions
from service.adapters.openai.server_profiles import Dialect

__all__ = ["Description", "Dialect", "OpenAIEndpoint", "OpenAIOptions"]
