"""One server: how many calls it gets, whether it answers, and when to try again if not.

An upstream is open; or it rests for as long as the server asked, when it refuses nearly everything; or it is closed,
because nobody answers (a circuit breaker) or every call is refused (key, quota, address). A closed upstream is tried
with single calls at growing intervals; the first answer opens it again.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

import structlog

from service.lm.dispatch.adaptive_limit import AdaptiveLimit, Sent
from service.lm.errors import AttemptFailedError, CallFailedError, EndpointRefusedError, Failing, Refused
from service.lm.port import Completion, Endpoint

_OVERLOAD = frozenset({Failing.RATE_LIMITED, Failing.OVERLOADED, Failing.TIMEOUT})
_AWAY = frozenset({Failing.CONNECTION, Failing.TIMEOUT, Failing.OVERLOADED, Failing.SERVER_ERROR})
_LEAST_FAILURES, _MOST_FAILURES = 5, 20
_REST_S, _LONGEST_REST_S = 2.0, 120.0
_LONGEST_REFUSAL_S = 60.0  # after 429 alone for this long, a server counts as away
_REFUSES_NEARLY_ALL = 0.5
_ENOUGH_TO_REST = 3
_ENOUGH_UNACCEPTED = 3
# Failures that end a call for good, and the next one too if nothing was ever answered.
_SAME_AGAIN = frozenset({Failing.CONTEXT_LENGTH, Failing.NO_ANSWER, Failing.THINKING, Failing.INVALID_BODY})
_SERVED = -1

# (first, longest) interval between trials of a closed upstream, in seconds. A wrong key does not mend itself.
_TRIALS_S = {
    Refused.AWAY: (0.5, 30.0),
    Refused.QUOTA: (60.0, 600.0),
    Refused.CREDENTIALS: (600.0, 600.0),
    Refused.ADDRESS: (600.0, 600.0),
}

log = structlog.get_logger()


class UpstreamState(StrEnum):
    """Whether an upstream takes calls."""

    OPEN = "open"
    RESTING = "resting"
    CLOSED = "closed"


@dataclass(slots=True)
class _Closing:
    """Reason and time of a closing, and the time of the next trial; `kind` of the calls that it was closed for."""

    error: EndpointRefusedError
    since_s: float
    wait_s: float
    trial_s: float
    kind: Hashable | None = None


@dataclass(eq=False)
class Upstream:
    """One endpoint under an adaptive limit. Times are those of the event loop's clock, in seconds."""

    endpoint: Endpoint
    limit: AdaptiveLimit
    in_use: int = 0
    answered_s: float = -math.inf
    has_answered: bool = False
    outcomes: Counter[str] = field(default_factory=Counter)
    _failures: int = 0
    _refused_since_s: float = math.inf
    _unaccepted: Counter[Hashable] = field(default_factory=Counter)
    _rests_until_s: float = -math.inf
    _latest: deque[bool] = field(default_factory=lambda: deque(maxlen=20))
    _closing: _Closing | None = None
    _trial: Sent | None = None

    def state(self, now_s: float) -> UpstreamState:
        """Return whether it takes calls now."""
        if self._closing is not None:
            return UpstreamState.CLOSED
        return UpstreamState.RESTING if now_s < self._rests_until_s else UpstreamState.OPEN

    @property
    def refusal(self) -> EndpointRefusedError | None:
        """Return why it is closed; none while it is not."""
        return self._closing.error if self._closing is not None else None

    def next_trial_in_s(self, now_s: float) -> float:
        """Return after how long it is tried again; 0 while it is open."""
        return max(0.0, self._closing.trial_s - now_s) if self._closing is not None else 0.0

    def closed_for_s(self, now_s: float) -> float:
        """Return for how long it has been closed; 0 while it is not."""
        return now_s - self._closing.since_s if self._closing is not None else 0.0

    def places(self, now_s: float) -> int:
        """Return how many calls it takes at once now: one if it is closed and a trial is due."""
        if self._closing is None:
            return 0 if now_s < self._rests_until_s else self.limit.at(now_s)
        return int(self._trial is not None or self.trial_is_due(now_s))

    def trial_is_due(self, now_s: float) -> bool:
        """Return whether a closed upstream is to be tried with the next call."""
        return self._closing is not None and self._trial is None and now_s >= self._closing.trial_s

    def opens_in_s(self, now_s: float) -> float:
        """Return after how long it takes more calls if no call ends before; infinite if only an end can help."""
        if self._closing is not None:
            due = self._trial is not None or now_s >= self._closing.trial_s
            return math.inf if due else self._closing.trial_s - now_s
        if now_s < self._rests_until_s:
            return self._rests_until_s - now_s
        ramping = self.limit.at(now_s) < self.limit.settled
        return 0.005 if ramping else math.inf

    @contextmanager
    def asking(self, kind: Hashable, clock: Callable[[], float]) -> Iterator[Sent]:
        """Send one call there inside the block, and note how it failed if it did; success is told by `answered`.

        Calls of one `kind` have the same parameters, and their answers take about as long for each token.

        Raises:
            EndpointRefusedError: the server accepts no call of this kind.
        """
        self.in_use += 1
        sent = self.limit.sent(self.in_use, clock())
        if self._closing is not None:
            self._trial = sent
        try:
            yield sent
        except AttemptFailedError as failure:
            self._failed(sent, failure, clock())
            raise
        except CallFailedError as error:
            self.outcomes[error.failing] += 1
            self._check_kind(kind, error, clock())
            self._answered(sent, clock())
            raise
        except EndpointRefusedError as error:
            self.outcomes[f"refused_{error.refused}"] += 1
            self._close(error, clock())
            raise
        finally:
            self.in_use -= 1
            if self._trial is sent:
                self._trial = None

    def answered(self, sent: Sent, kind: Hashable, completion: Completion, now_s: float) -> None:
        """Note a completion."""
        usage = completion.usage
        self.outcomes["ok_in_reasoning" if completion.in_reasoning else "ok"] += 1
        self.has_answered = True
        self._unaccepted[kind] = _SERVED
        if self._closing is not None and self._closing.kind == kind:
            self._reopen(now_s)  # calls of this kind are answered after all
        if usage is not None:
            self.limit.took(sent, kind, now_s - sent.at_s, usage.completion_tokens)
        self._answered(sent, now_s)

    def _answered(self, sent: Sent, now_s: float) -> None:
        """Note that the server answers."""
        self.answered_s = now_s
        self._failures, self._refused_since_s = 0, math.inf
        self._latest.append(False)
        if self._closing is not None and (self._trial is sent or self._closing.error.refused is Refused.AWAY):
            self._reopen(now_s)  # an answer to a call sent before the closing proves nothing of a key
        self.limit.answered(sent, now_s)

    def _failed(self, sent: Sent, failure: AttemptFailedError, now_s: float) -> None:
        """Note a failed attempt."""
        self.outcomes[failure.failing] += 1
        if failure.failing is Failing.THINKING:  # the server is well, and the model is given more room
            self._answered(sent, now_s)
            return
        overload = failure.failing in _OVERLOAD
        self._latest.append(overload)
        if overload:
            before = self.limit.cuts
            self.limit.refused(sent, self.in_use, now_s)
            if self.limit.cuts > before:
                log.info("lm.slowed_down", endpoint=self.endpoint.name, limit=self.limit.at(now_s), reason=str(failure))
            self._rest(failure.after_s, now_s)
        else:
            self.limit.answered(sent, now_s)
        self._doubt(failure, now_s)
        if self._closing is not None and self._trial is sent and now_s >= self._closing.trial_s:
            self._try_later(self._closing, failure.after_s or 0.0, now_s)

    def reopen_soon(self, now_s: float) -> None:
        """Try it as soon as possible: the reason of its refusals may be gone."""
        if self._closing is not None:
            self._closing.trial_s = now_s

    def gave_up_on(self, failure: AttemptFailedError, now_s: float) -> None:
        """Note that a call ran out of attempts, and nothing was answered meanwhile."""
        self._close_as_away(str(failure), now_s)

    def _check_kind(self, kind: Hashable, error: CallFailedError, now_s: float) -> None:
        """Close the upstream if no call of a kind was ever answered: all would fail for the same reason."""
        hopeless = error.failing is Failing.BAD_REQUEST or (error.failing in _SAME_AGAIN and not self.has_answered)
        if not hopeless or self._unaccepted[kind] == _SERVED:
            return
        self._unaccepted[kind] += 1
        if self._unaccepted[kind] >= _ENOUGH_UNACCEPTED:
            message = f"No call of this kind is answered. {error}"
            self._close(EndpointRefusedError(message, Refused.ADDRESS), now_s, kind)
            raise EndpointRefusedError(message, Refused.ADDRESS, wasted=error.wasted) from error

    def _rest(self, after_s: float | None, now_s: float) -> None:
        """Send nothing for as long as the server asks, if it refuses nearly all calls."""
        if len(self._latest) >= _ENOUGH_TO_REST and sum(self._latest) >= _REFUSES_NEARLY_ALL * len(self._latest):
            asked_s = _REST_S if after_s is None else min(after_s, _LONGEST_REST_S)
            self._rests_until_s = max(self._rests_until_s, now_s + asked_s)
            self._latest.clear()

    def _doubt(self, failure: AttemptFailedError, now_s: float) -> None:
        """Close the upstream if every call fails: nobody answers, or the answers are no completions."""
        if failure.failing is Failing.RATE_LIMITED:
            self._refused_since_s = min(self._refused_since_s, now_s)
            if now_s - self._refused_since_s >= _LONGEST_REFUSAL_S:
                self._close_as_away(str(failure), now_s)
            return
        self._failures += 1
        away = min(max(_LEAST_FAILURES, 2 * self.limit.at(now_s)), _MOST_FAILURES)
        enough = away if failure.failing in _AWAY else _MOST_FAILURES
        if self._closing is not None or self._failures >= enough:
            self._close_as_away(str(failure), now_s)

    def _close_as_away(self, why: str, now_s: float) -> None:
        self._close(
            EndpointRefusedError(
                f"{self.endpoint.name} has answered no call lately: {why} "
                "Nothing is lost: queued calls are made when it is back.",
                Refused.AWAY,
            ),
            now_s,
        )

    def _close(self, error: EndpointRefusedError, now_s: float, kind: Hashable | None = None) -> None:
        """Close it, or keep it closed after a trial in vain; says so once for each reason."""
        first = _TRIALS_S[error.refused][0]
        before = self._closing
        if before is None or before.error.refused is not error.refused:
            log.error("lm.closed", endpoint=self.endpoint.name, reason=str(error), next_trial_in_s=first)
            since = now_s if before is None else before.since_s
            self._closing = _Closing(error, since, first, now_s + first, kind)
        elif now_s >= before.trial_s:
            self._try_later(before, 0.0, now_s)

    def _try_later(self, closing: _Closing, asked_s: float, now_s: float) -> None:
        """Wait twice as long before the next trial, and at least as long as the server asks."""
        longest_s = _TRIALS_S[closing.error.refused][1]
        closing.wait_s = max(min(2 * closing.wait_s, longest_s), min(asked_s, _LONGEST_REST_S))
        closing.trial_s = now_s + closing.wait_s

    def _reopen(self, now_s: float) -> None:
        away = timedelta(seconds=round(self.closed_for_s(now_s)))
        log.info("lm.opened", endpoint=self.endpoint.name, closed_for=str(away))
        self._closing = None
        self.limit.restart(now_s)
