"""How one server is asked, by what is known of it by now; what it refuses by name is learnt for all later calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from service.adapters.openai.error_response import Refusal
from service.adapters.openai.parameter_fallback import adapted, changes, way_out
from service.adapters.openai.response import Reading
from service.adapters.openai.server_profiles import Api, Profile
from service.lm.errors import AttemptFailedError, CallFailedError, Failing, LanguageModelError
from service.lm.port import Completion, FinishReason
from service.selfinstruct.model_input import ModelInput

# As many times may one call be asked again because the server refused a parameter by name.
_MOST_ADAPTATIONS = 8
# Tokens for thinking, once a model is seen to think, and once that was not enough.
_THINKING_TOKENS = (4_096, 16_384)

log = structlog.get_logger()

Ask = Callable[[Profile], Awaitable[Reading | Refusal]]


@dataclass(eq=False, slots=True)
class Negotiation:
    """The profile of one server, and how it changes. `name` is the endpoint's, for the log.

    A model that thinks gets tokens for it without being asked for, unless `thinking_tokens` were.
    """

    name: str
    api: Api
    profile: Profile
    thinking_tokens: int | None = None
    has_answered: bool = False

    async def ask(
        self, ask: Ask, prompt: ModelInput, error_of: Callable[[Refusal, str], LanguageModelError]
    ) -> Completion:
        """Ask as the profile says; again, at no charge, where the server refused what the call can do without.

        Raises:
            AttemptFailedError: the model has only thought, and is asked in another way from now on, or has answered
                other calls.
            CallFailedError: the model has only thought, whatever room it was given, and never answered.
            LanguageModelError: what `error_of` makes of the refusal and of a hint at a way out.
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
        raise AssertionError  # the last time round there are no chances left

    def _answer(self, reading: Reading, profile: Profile) -> Completion:
        """Return the completion, and learn from it whether the model thinks."""
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
        raise CallFailedError(message, Failing.THINKING, wasted=reading.completion.usage)

    def _with_room(self, profile: Profile, reading: Reading) -> Profile:
        """Return a profile under which a model that thinks comes to its answer; the same where that is no use."""
        if reading.was_stopped and profile.stops:
            return profile.with_stops(0)
        if self.thinking_tokens is not None or not reading.thought:
            return profile
        larger = [tokens for tokens in _THINKING_TOKENS if tokens > profile.thinking_tokens]
        is_first = profile.thinking_tokens == 0
        return profile.with_thinking(larger[0]) if larger and (is_first or reading.only_thought) else profile

    def _take(self, profile: Profile, better: Profile) -> None:
        """Take a better profile, unless another call has already found one."""
        if self.profile is profile:
            self.profile = better
            log.warning("lm.adapted", endpoint=self.name, **changes(profile, better, self.api))


def _end_of(reading: Reading, profile: Profile) -> str:
    if reading.was_stopped and profile.stops:
        return "a stop string ended it"
    return "its tokens ran out" if reading.completion.finish_reason is FinishReason.LENGTH else "it ended"
