"""Adapts requests to a server: a parameter that it refuses by name is dropped or changed for all later calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from service.adapters.openai.error_response import Refusal
from service.adapters.openai.parameter_fallback import adapted, changes, way_out
from service.adapters.openai.response import Reading
from service.adapters.openai.server_profiles import Api, Profile
from service.lm.call_cost import CallCost
from service.lm.errors import AttemptFailedError, CallFailedError, Failing, LanguageModelError
from service.lm.port import Completion, FinishReason
from service.selfinstruct.model_input import ModelInput

# Limit on repeats of a call because the server refused a parameter by name.
_MOST_ADAPTATIONS = 8
# Tokens added for thinking: once a model is seen to think, and once the first amount was too small.
_THINKING_TOKENS = (4_096, 16_384)

log = structlog.get_logger()

Ask = Callable[[Profile], Awaitable[Reading | Refusal]]


@dataclass(eq=False, slots=True)
class Negotiation:
    """The current profile of a server and the rules by which it changes. `name` is the endpoint's, for the log.

    If `thinking_tokens` is `None`, a model that is seen to think gets extra tokens for it.
    """

    name: str
    api: Api
    profile: Profile
    thinking_tokens: int | None = None
    has_answered: bool = False

    async def ask(
        self, ask: Ask, prompt: ModelInput, error_of: Callable[[Refusal, str], LanguageModelError]
    ) -> Completion:
        """Make a request under the current profile; repeat under an adapted one if the server refused a parameter.

        Raises:
            AttemptFailedError: the reply is reasoning text alone; the profile has been adapted, or the model has
                answered other calls.
            CallFailedError: the reply is reasoning text alone, no adaptation is left, and the model has never answered.
            LanguageModelError: the error that `error_of` returns for the refusal and a hint for the user.
        """
        for chances in reversed(range(_MOST_ADAPTATIONS + 1)):
            profile = self.profile
            outcome = await ask(profile)
            if isinstance(outcome, Reading):
                return self._answer(outcome, profile)
            better = adapted(profile, self.api, outcome, prompt) if chances else None
            if better is None:
                raise error_of(outcome, way_out(outcome))
            self._take(profile, better)
        raise AssertionError  # the last round has no chances left and raises above

    def _answer(self, reading: Reading, profile: Profile) -> Completion:
        """Return the completion; adapt the profile if the model thinks and needs more tokens."""
        better = self._with_room(profile, reading)
        if better is not profile:
            self._take(profile, better)
        if not reading.only_thought:
            self.has_answered = True
            return reading.completion
        message = (
            f"{self.name} answered with thinking alone, and {_end_of(reading, profile)} before an answer began "
            f"({profile.thinking_room(self.thinking_tokens)} tokens were there for thinking)."
        )
        if better is not profile or self.profile is not profile:
            raise AttemptFailedError(Failing.THINKING, message, usage=reading.completion.usage)
        message = f"{message} Give it more room with lm_thinking_tokens, or switch its thinking off."
        if self.has_answered:
            raise AttemptFailedError(Failing.THINKING, message, usage=reading.completion.usage)
        raise CallFailedError(message, Failing.THINKING, cost=CallCost(wasted=reading.completion.usage))

    def _with_room(self, profile: Profile, reading: Reading) -> Profile:
        """Return a profile that lets a thinking model reach its answer, or the same profile if no change would help."""
        if reading.was_stopped and profile.stops:
            return profile.with_stops(0)
        if self.thinking_tokens is not None or not reading.thought:
            return profile
        larger = [tokens for tokens in _THINKING_TOKENS if tokens > profile.thinking_tokens]
        is_first = profile.thinking_tokens == 0
        return profile.with_thinking(larger[0]) if larger and (is_first or reading.only_thought) else profile

    def _take(self, profile: Profile, better: Profile) -> None:
        """Replace the profile, unless another call has done so since."""
        if self.profile is profile:
            self.profile = better
            log.warning("lm.adapted", endpoint=self.name, **changes(profile, better, self.api))


def _end_of(reading: Reading, profile: Profile) -> str:
    if reading.was_stopped and profile.stops:
        return "a stop string ended it"
    return "its tokens ran out" if reading.completion.finish_reason is FinishReason.LENGTH else "it ended"
