"""One language model over one or several servers: admission, retries, failover, and a pause while none answers.

The life of a call: it gets a slot (`service.lm.concurrency`); the upstream with most room is asked once; a completion
is returned with the tokens of all its attempts. After a failure that may pass, the call steps aside for as long as the
server asks or the back-off says, and tries again. Attempts that a server refuses for load are not counted as failures
of the call, unless the server answers others between them for so long that it must be for this call that it refuses: a
prompt larger than the rate allows is one. Such a call would never end.
"""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random

import anyio
import structlog
from msgspec import Struct

from service.lm.backoff import Backoff, wait_before_retry_s
from service.lm.call_cost import CallCost
from service.lm.concurrency import Slot, Slots
from service.lm.dispatch.adaptive_limit import AdaptiveLimit
from service.lm.dispatch.balancer import Balancer
from service.lm.dispatch.fleet_share import FleetLimits, FleetShare, Leases
from service.lm.dispatch.retrying import Retrying
from service.lm.dispatch.upstream import Upstream, UpstreamState
from service.lm.errors import (
    AttemptFailedError,
    CallDroppedError,
    CallFailedError,
    EndpointRefusedError,
    Failing,
    Refused,
    UnansweredError,
)
from service.lm.port import Completion, Endpoint, FinishReason
from service.lm.usage import Usage, added
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling
from service.selfinstruct.replies.characters import excerpt

_LOOK_EVERY_S = 1.0
_UNCOUNTED = frozenset({Failing.RATE_LIMITED, Failing.OVERLOADED})
# The limit of paid answers to one call that do not answer the question.
_MOST_UNREADABLE = 3
_NO_ANSWERS = frozenset({Failing.UNREADABLE, Failing.THINKING})  # paid completions that answer nothing

log = structlog.get_logger()


class Patience(Struct, frozen=True):
    """The limits of attempts and of waiting.

    `attempts` that failed in a way that may pass give a call up; refusals for load are not counted. So do `passed_over`
    refusals, each after an answer to another call: an overloaded server does not do that by chance. When no server has
    taken calls for `closed_s`, all calls end with `EndpointRefusedError`; `refused_first_s` takes its place where the
    first calls were refused and none has ever been answered: a wrong key is best known at once.
    """

    attempts: int = 10
    passed_over: int = 200
    closed_s: float = math.inf
    refused_first_s: float = math.inf


@dataclass(slots=True)
class _Call:
    """One call: its slot, and its attempts so far."""

    slot: Slot
    began_s: float
    attempts: int = 0
    failures: int = 0
    unreadable: int = 0
    passed_over: int = 0
    refused_s: float = math.inf
    wasted: Usage | None = None
    last: Upstream | None = None

    @property
    def cost(self) -> CallCost:
        return CallCost(self.attempts, self.wasted)

    def refuse(self, answered_s: float, now_s: float) -> None:
        """Count a refusal for load, if the server has answered another call since the refusal before."""
        self.passed_over += answered_s > self.refused_s
        self.refused_s = now_s


@dataclass(eq=False)
class Dispatcher:
    """A `LanguageModel`. Its background work runs inside `async with dispatcher.running()`."""

    balancer: Balancer
    slots: Slots
    patience: Patience = field(default_factory=Patience)
    backoff: Backoff = field(default_factory=Backoff)
    random: Random = field(default_factory=Random)
    retrying: Retrying = field(default_factory=Retrying)

    @classmethod
    def over(
        cls,
        endpoints: Sequence[Endpoint],
        concurrency: int,
        patience: Patience | None = None,
        backoff: Backoff | None = None,
        *,
        watches_pace: bool = True,
    ) -> "Dispatcher":
        """Return a dispatcher over these servers with at most `concurrency` calls in flight altogether.

        `watches_pace` says whether a server whose answers take longer than they used to gets fewer calls.
        """
        now_s = anyio.current_time()
        limits = [AdaptiveLimit(concurrency, now_s, watches_pace=watches_pace) for _ in endpoints]
        balancer = Balancer(
            [Upstream(endpoint, limit) for endpoint, limit in zip(endpoints, limits, strict=True)], FleetShare()
        )
        return cls(balancer, Slots(concurrency, balancer), patience or Patience(), backoff or Backoff())

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Dispatcher"]:
        """Reopen slots and end a hopeless wait inside the block."""
        async with anyio.create_task_group() as background:
            background.start_soon(self.slots.keep_time)
            background.start_soon(self._lose_patience)
            yield self
            background.cancel_scope.cancel()

    def restrict(self, limits: FleetLimits | None = None, leases: Leases | None = None) -> None:
        """Take other limits of the fleet over, or other leases of them."""
        self.balancer.share.update(anyio.current_time(), limits, leases)
        self.slots.reconsider()

    def try_again(self) -> None:
        """Try closed upstreams as soon as possible: a key has changed."""
        for upstream in self.balancer.all:
            upstream.reopen_soon(anyio.current_time())
        self.slots.reconsider()

    @property
    def refusal(self) -> EndpointRefusedError | None:
        """Return why no call can be made now; none if one can."""
        return self.balancer.refusal

    @property
    def told(self) -> str:
        """Describe the state of all calls in a line."""
        now_s = anyio.current_time()
        if (refusal := self.refusal) is not None:
            trial_s = min(upstream.next_trial_in_s(now_s) for upstream in self.balancer.all)
            mended = " or when the key's file changes" if refusal.refused is Refused.CREDENTIALS else ""
            return f"paused, and tried again in {trial_s:.0f} s{mended}: {refusal}"
        calls = f"{self.slots.in_use} in flight, {self.slots.waiting} waiting, {self.balancer.limit} at once"
        held_s = self.balancer.share.opens_in_s(now_s) if self.slots.waiting else 0.0
        held = f"--rpm or --tpm allows the next in {held_s:.0f} s" if held_s >= 1 else ""
        return "; ".join(filter(None, (calls, held, self.retrying.told)))

    async def complete(self, prompt: ModelInput, sampling: Sampling, slot: Slot | None = None) -> Completion:
        """Return the completion of one prompt after as many attempts as it needs; takes a slot unless one is given.

        Raises:
            CallFailedError: this call failed for good.
            EndpointRefusedError: no server has taken calls for longer than there is patience.
        """
        if slot is not None:
            return await self._complete(prompt, sampling, slot)
        async with self.slots.hold(0) as own:
            return await self._complete(prompt, sampling, own)

    async def _complete(self, prompt: ModelInput, sampling: Sampling, slot: Slot) -> Completion:
        call = _Call(slot, anyio.current_time())
        while True:
            upstream = self.balancer.choose(call.last)
            try:
                completion = await self._attempt(upstream, call, prompt, sampling)
                _check(prompt, completion)
            except AttemptFailedError as failure:
                wait_s = self._after(failure, upstream, call)
            except EndpointRefusedError:
                wait_s = 0.0
            else:
                self.retrying.answered()
                return replace(completion, cost=call.cost)
            call.last = upstream
            with self.retrying.waits():
                await self._step_aside(call, wait_s)

    async def _step_aside(self, call: _Call, wait_s: float) -> None:
        """Wait to try again; raise the cost of a call that cannot."""
        try:
            goes_on = await self.slots.step_aside(call.slot, wait_s)
        except EndpointRefusedError as refusal:
            if call.wasted is None:
                raise
            raise CallDroppedError(refusal, cost=call.cost) from refusal
        if not goes_on:
            raise CallDroppedError(None, cost=call.cost)

    async def _attempt(self, upstream: Upstream, call: _Call, prompt: ModelInput, sampling: Sampling) -> Completion:
        """Make one attempt, and tell its outcome to the upstream and the rates."""
        call.attempts += 1
        try:
            with upstream.asking(sampling, anyio.current_time) as sent:
                completion = await upstream.endpoint.attempt(prompt, sampling)
                upstream.answered(sent, sampling, completion, anyio.current_time())
        except AttemptFailedError as failure:
            self._use(call, failure.usage)
            raise
        except CallFailedError as error:
            self._use(call, error.wasted)
            call.wasted = added(call.wasted, error.wasted)
            raise error.with_cost(call.cost) from error.__cause__
        except EndpointRefusedError as refusal:
            if refusal.wasted is not None:
                self._use(call, refusal.wasted)
                call.wasted = added(call.wasted, refusal.wasted)
            raise
        if completion.usage is not None:  # else the estimate stands
            self._use(call, completion.usage)
        return completion

    def _use(self, call: _Call, usage: Usage | None) -> None:
        """Correct the rates by the tokens of an attempt; the server may have counted none."""
        tokens = usage.prompt_tokens + usage.completion_tokens if usage is not None else 0
        self.balancer.share.used(tokens, call.slot.tokens)

    def _after(self, failure: AttemptFailedError, upstream: Upstream, call: _Call) -> float:
        """Return how long to wait before the next attempt; raises `UnansweredError` after the last."""
        call.wasted = added(call.wasted, failure.usage)
        now_s = anyio.current_time()
        if failure.failing in _UNCOUNTED:
            call.refuse(upstream.answered_s, now_s)
        elif upstream.state(now_s) is not UpstreamState.CLOSED:
            call.failures += 1
        call.unreadable += failure.failing in _NO_ANSWERS
        if (
            call.failures >= self.patience.attempts
            or call.unreadable >= _MOST_UNREADABLE
            or call.passed_over >= self.patience.passed_over
        ):
            if upstream.answered_s >= call.began_s or failure.failing in (Failing.INVALID_BODY, Failing.ABORTED):
                failed = max(call.failures, call.passed_over)
                raise UnansweredError(
                    f"Expected an answer, but {failed} attempts failed; the last one: {failure}",
                    failure.failing,
                    cost=call.cost,
                ) from failure
            upstream.gave_up_on(failure, now_s)
            call.failures = 0
        wait_s = wait_before_retry_s(self.backoff.delay_s(max(0, call.failures - 1), self.random), failure.after_s)
        if self.retrying.failed(str(failure), now_s):
            waiting = self.retrying.waiting + 1
            log.warning("lm.calls_wait_for_another_attempt", calls=waiting, reason=str(failure))
        log.debug(
            "lm.retried", endpoint=upstream.endpoint.name, failing=failure.failing, reason=str(failure), wait_s=wait_s
        )
        return wait_s

    async def _lose_patience(self) -> None:
        """End all calls when no server has taken any for too long."""
        while True:
            await anyio.sleep(_LOOK_EVERY_S)
            refusal = self.balancer.refusal
            if refusal is None:
                continue
            never_worked = refusal.refused is not Refused.AWAY and not any(
                upstream.has_answered for upstream in self.balancer.all
            )
            patience_s = self.patience.refused_first_s if never_worked else self.patience.closed_s
            if self.balancer.closed_for_s() >= patience_s:
                self.slots.fail(refusal)
                return


def _check(prompt: ModelInput, completion: Completion) -> None:
    """Check that a completion answers the question.

    Raises:
        AttemptFailedError: it does not; names the expected answer and the beginning of this one.
    """
    check = prompt.check
    if check is not None and not check.holds(completion.text):
        was_cut = completion.finish_reason is FinishReason.LENGTH
        cut = ", cut by its length," if was_cut else ""
        hint = " A model that thinks before it answers needs room for that: lm_thinking_tokens." if was_cut else ""
        raise AttemptFailedError(
            Failing.UNREADABLE,
            f'The model should have answered {check.expected}, and its answer{cut} is "{excerpt(completion.text)}".'
            f"{hint}",
            usage=completion.usage,
        )
