"""The description of an endpoint that `seedstream check` shows. Pure."""

from msgspec import Struct

from service.adapters.openai.model_list import ListedModel
from service.adapters.openai.server_profiles import Api, Dialect, LengthName, Profile, Structure

_SHOWN_MODELS = 5


class Description(Struct, frozen=True):
    """The kind of a server, how it was detected, and how requests to it are made.

    `stops` is the number of stop strings sent; the client cuts the completion at all stop strings in any case.
    `context_tokens` is `None` if the server does not report it. `structure` is how a request asks for JSON, if the
    recipe needs it; `asks_for_schema` is true if the request contains a schema.
    """

    url: str
    model: str
    dialect: Dialect
    how: str
    models: tuple[str, ...]
    context_tokens: int | None
    length_name: str
    stops: int
    structure: str
    asks_for_schema: bool
    warnings: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The description as lines of text; names of models are untrusted text from the server."""
        more = len(self.models) - _SHOWN_MODELS
        listed = ", ".join(self.models[:_SHOWN_MODELS]) + (f" and {more} more" if more > 0 else "")
        context = "" if self.context_tokens is None else f"; a context of {self.context_tokens:,} tokens"
        stops = f"at most {self.stops} stop strings" if self.stops else "no stop strings"
        return (
            f"{self.url} offers {listed or 'no list of models'}",
            f"dialect {self.dialect} ({self.how}){context}",
            f"asked for {self.length_name} and with {stops}; for JSON by {self.structure}",
            *(f"beware: {warning}" for warning in self.warnings),
        )


def describe(
    url: str, model: str, api: Api, profile: Profile, how: str, listed: tuple[ListedModel, ...]
) -> Description:
    """Return the description of an endpoint; `how` says how its dialect was detected."""
    names = tuple(offer.name for offer in listed)
    context = next((offer.context_tokens for offer in listed if offer.name == model), None)
    auto = api == "chat" and profile.chat_length is LengthName.AUTO
    length = f"{profile.length_name(api)}{' (or what it is called instead)' if auto else ''}"
    has_field = profile.schema_field(api) is not None
    return Description(
        url,
        model,
        profile.dialect,
        how,
        names,
        context,
        length,
        profile.stops,
        structure=(profile.structure if has_field else Structure.NONE).value,
        asks_for_schema=has_field and profile.structure in {Structure.STRICT, Structure.SCHEMA},
        warnings=_warnings(model, api, profile, names),
    )


def _warnings(model: str, api: Api, profile: Profile, names: tuple[str, ...]) -> tuple[str, ...]:
    found = list(profile.warnings)
    if names and model not in names and profile.dialect is not Dialect.AZURE:  # which lists no deployments
        found.append(f"the model {model} is not in the server's list")
    if api == "completions" and not profile.raw_completions:
        found.append("/completions puts prompts into the model's chat template: lm_api = chat says what happens")
    if not profile.states_usage:
        found.append("it may not count its tokens: uncounted tokens are missing from the cost")
    return tuple(found)
