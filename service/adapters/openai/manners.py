"""How one server is asked, by what is known of it by now; what it refuses by name is learnt for all later calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from service.adapters.openai.adapting import adapted, way_out
from service.adapters.openai.profiles import Api, Profile
from service.adapters.openai.refusals import Refusal
from service.adapters.openai.replies import Reading
from service.errors import LanguageModelError
from service.lm import Completion

# As many times may one call be asked again because the server refused a parameter by name.
_MOST_ADAPTATIONS = 3

log = structlog.get_logger()

Ask = Callable[[Profile], Awaitable[Reading | Refusal]]


@dataclass(eq=False, slots=True)
class Manners:
    """The profile of one server, and how it changes. `name` is the endpoint's, for the log."""

    name: str
    api: Api
    profile: Profile

    async def ask(self, ask: Ask, error_of: Callable[[Refusal, str], LanguageModelError]) -> Completion:
        """Ask as the profile says; again, at no charge, where the server refused what the call can do without.

        Raises:
            LanguageModelError: what `error_of` makes of the refusal and of a hint at a way out.
        """
        for chances in reversed(range(_MOST_ADAPTATIONS + 1)):
            profile = self.profile
            outcome = await ask(profile)
            if isinstance(outcome, Reading):
                return self._learnt_from(outcome, profile)
            better = adapted(profile, self.api, outcome) if chances else None
            if better is None:
                raise error_of(outcome, way_out(outcome))
            self._take(profile, better)
        raise AssertionError  # the last time round there are no chances left

    def _learnt_from(self, reading: Reading, profile: Profile) -> Completion:
        if reading.is_stopped_thinking and profile.stops:
            self._take(profile, profile.with_stops(0))
        return reading.completion

    def _take(self, profile: Profile, better: Profile) -> None:
        """Take a better profile, unless another call has already found one."""
        if self.profile is profile:
            self.profile = better
            log.warning("lm.adapted", endpoint=self.name, length_name=better.length_name(self.api), stops=better.stops)
