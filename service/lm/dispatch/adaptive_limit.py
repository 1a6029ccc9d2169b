"""The adaptive limit of one server: additive increase, multiplicative decrease, and a trial that tells noise from load.

Pure: time comes in as an argument, in seconds.

An overloaded server refuses calls (429, 503) or lets them time out, and refuses fewer if it gets fewer. Some servers
refuse a share of all calls at any level; a plain AIMD starves before these. So a burst of refusals cuts the limit once,
and the cut is a trial:

                     the alarm: refusals above the usual share
       ┌─────────┐   limit * _DECREASE                           ┌─────────┐ ◀─┐ share > _LARGEST_NOISE:
       │ growing │ ────────────────────────────────────────────▶ │  trial  │   │ cut again
       │         │ ◀──────────────────────────────────────────── │         │ ──┘
       └─────────┘   refusals gone: load; the knee is learnt      └─────────┘
         │     ▲     refusals persist at a small share: noise; the limit is restored, the share is usual
         │     │
         │     │  the alarm: back to knee - 1, and twice the wait (_PROBE_AFTER_S)
         ▼     │  served: the knee moves up, steps double
       ┌─────────┐
       │ probing │   the limit is at the knee and the wait is over
       └─────────┘

Growing adds 1 for every _SUCCESSES_PER_STEP answers, up to just below the knee. A server may also slow down without a
refusal: `service.lm.dispatch.slowdown` detects it, and that cut is a trial as well.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from msgspec import Struct

from service.lm.dispatch.change_detection import Alarm, Finding, Tally, finding
from service.lm.dispatch.slowdown import Slowdown

_DECREASE = 0.75
_SUCCESSES_PER_STEP = 25
_SUCCESSES_PER_QUICK_STEP = 5
_LEAST_USUAL = 0.02
# A server that refuses more than this share counts as overloaded, or worse.
_LARGEST_NOISE = 0.3
_ENOUGH = 20
_ENOUGH_FOR_USUAL = 200
_FIRST_BURST = 32
_RAMP_PER_S = 500.0
_LONGEST_RAMP_S = 0.5
_PROBE_AFTER_S = (10.0, 60.0)
_LONGEST_REFUSAL_S = 5.0


class Sent(Struct, frozen=True):
    """A call in flight: the calls in flight with it, the number of the latest cut, and the time of sending."""

    level: int
    epoch: int
    at_s: float


@dataclass(slots=True)
class _Trial:
    """A trial: the limit before it, the worst share of refusals, and the calls before its latest cut."""

    restore: float
    worst: float
    epoch: int
    before: Tally


@dataclass(slots=True)
class AdaptiveLimit:
    """The limit of one server, from 1 to `ceiling`.

    Calls that were sent together are refused one by one, so a cut is not judged before its first refusals can arrive.

    `usual` is the share of calls that the server refuses at any level. `knee` is the level (calls at once) above which
    it was seen to refuse for load; above it the limit grows by probing alone.
    """

    ceiling: int
    started_s: float
    watches_pace: bool = True
    knee: int | None = None
    cuts: int = 0
    _limit: float = 0.0
    _epoch: int = 0
    _on_their_way: deque[Sent] = field(default_factory=deque)
    _refusals_take_s: float = 0.02
    _judged_from_s: float = math.inf
    _successes: int = 0
    _successes_per_step: int = _SUCCESSES_PER_STEP
    _probe_at_s: float = 0.0
    _probe_wait_s: float = _PROBE_AFTER_S[0]
    _probing: bool = False
    _step: int = 1
    _trial: _Trial | None = None
    _tally: Tally = field(default_factory=Tally)
    _alarm: Alarm = field(default_factory=lambda: Alarm(_LEAST_USUAL))
    _slowness: Slowdown = field(default_factory=Slowdown)

    def __post_init__(self) -> None:
        """Begin at the ceiling; the ramp holds the first moments back."""
        self._limit = float(self.ceiling)

    def at(self, now_s: float) -> int:
        """Return the limit at a time; it is lower soon after the start, so that a wrong key shows early."""
        ramp = _FIRST_BURST + (now_s - self.started_s) * max(_RAMP_PER_S, self.ceiling / _LONGEST_RAMP_S)
        return max(1, min(int(self._limit), int(ramp)))

    @property
    def settled(self) -> int:
        """Return the limit once the ramp is over."""
        return max(1, int(self._limit))

    @property
    def usual(self) -> float:
        """Return the share of calls that is refused at any level, as far as it is known."""
        return self._alarm.usual

    def restart(self, now_s: float) -> None:
        """Start again after the server was away, without the known capacity."""
        self.started_s = now_s
        self._limit, self.knee, self._trial, self._probing = float(self.ceiling), None, None, False
        self._next_epoch()

    def sent(self, in_flight: int, now_s: float) -> Sent:
        """Note that a call is sent; `in_flight` counts it."""
        sent = Sent(in_flight, self._epoch, now_s)
        self._on_their_way.append(sent)
        if self._judged_from_s == math.inf:
            self._judged_from_s = now_s + 2 * self._refusals_take_s
        self._count_served(now_s - self._refusals_take_s)
        return sent

    def _count_served(self, until_s: float) -> None:
        """Count calls sent until then as served: a refusal would have arrived by now."""
        while self._on_their_way and self._on_their_way[0].at_s <= until_s:
            sent = self._on_their_way.popleft()
            if self._trial is not None and sent.epoch == self._trial.epoch:
                self._trial.before.send(sent.level)
            if sent.epoch != self._epoch:
                continue
            self._tally.send(sent.level)
            if self._trial is None:
                self._alarm.sent()
                if self._tally.sent >= _ENOUGH_FOR_USUAL:
                    self._learn_usual()

    def answered(self, sent: Sent, now_s: float) -> None:
        """Count a call that was not refused, however it ended."""
        self._count_served(now_s - self._refusals_take_s)
        if self._trial is not None and sent.epoch == self._epoch:
            self._judge(self._trial, sent.level, now_s)
        self._grow(now_s)

    def refused(self, sent: Sent, in_flight: int, now_s: float) -> None:
        """Count a call that was refused for load; `in_flight` is the number of calls in flight at its refusal."""
        took_s = min(2 * (now_s - sent.at_s), _LONGEST_REFUSAL_S)
        self._refusals_take_s += (took_s - self._refusals_take_s) / 4
        self._count_served(sent.at_s)
        if self._trial is not None and sent.epoch == self._trial.epoch:
            self._trial.before.refuse(sent.level)
        if sent.epoch != self._epoch:
            return  # it was sent before the latest cut, and says nothing about that
        self._tally.refuse(sent.level)
        if self._trial is not None:
            if now_s >= self._judged_from_s and finding(self._tally) is Finding.PERSISTS:
                self._judge(self._trial, in_flight, now_s)
        elif self._alarm.refused():
            self._decrease(in_flight, now_s)

    def took(self, sent: Sent, kind: object, seconds: float, tokens: int) -> None:
        """Note the seconds and tokens of an answer; only answers of the same `kind` are compared."""
        if not self.watches_pace:
            return
        verdict = self._slowness.add(kind, seconds, tokens, fresh=sent.epoch == self._epoch, in_flight=self._limit)
        if verdict == "cut" and self._trial is None and self._limit > 1:
            self._slowness.cut_at(self._limit)
            self._cut(self._limit)
        elif verdict == "restore":
            self._limit = max(self._limit, min(float(self.ceiling), self._slowness.before))

    def _decrease(self, in_flight: int, now_s: float) -> None:
        """Cut once for a burst; while probing above the knee, take the step back."""
        if self._probing and self.knee is not None and in_flight >= self.knee - 1:
            self._limit = max(1.0, self.knee - 1.0)
            self._probing, self._probe_wait_s = False, min(2 * self._probe_wait_s, _PROBE_AFTER_S[1])
            self._probe_at_s = now_s + self._probe_wait_s
            self._next_epoch()
            return
        share = self._tally.share
        worst = share if share > _LARGEST_NOISE and self._tally.sent >= _ENOUGH else 0.0
        self._trial = _Trial(self._limit, worst, self._epoch, self._tally)
        self._cut(min(self._limit, float(max(in_flight, 1))))

    def _judge(self, trial: _Trial, in_flight: int, now_s: float) -> None:
        """End a trial, or cut again, if its refusals are enough to conclude."""
        found, share = finding(self._tally), self._tally.share
        if found is Finding.OPEN:
            return
        if found is Finding.GONE or share < trial.worst / 3:
            self._found_load(trial, now_s)
        elif share > _LARGEST_NOISE and self._limit > 1:
            trial.worst, trial.epoch, trial.before = max(trial.worst, share), self._epoch, self._tally
            self._cut(min(self._limit, float(max(in_flight, 1))))
        else:
            self._found_noise(trial, share, now_s)

    def _found_load(self, trial: _Trial, now_s: float) -> None:
        """Stay below the level of most refusals; climb back quickly if the level made no difference."""
        self._trial, self._probing = None, False
        knee = trial.before.knee
        self.knee = None if knee is None else max(2, knee)
        self._successes_per_step = _SUCCESSES_PER_STEP if self.knee is not None else _SUCCESSES_PER_QUICK_STEP
        self._probe_wait_s = _PROBE_AFTER_S[0]
        self._probe_at_s = now_s + self._probe_wait_s
        self._next_epoch()

    def _found_noise(self, trial: _Trial, share: float, now_s: float) -> None:
        """Take the share for usual and restore the limit, unless most calls were refused above some level."""
        if trial.before.knee is not None:
            self._found_load(trial, now_s)
        else:
            self._trial = None
            self._limit = min(trial.restore, float(self.ceiling))
        self._alarm = Alarm(min(max(share, _LEAST_USUAL), _LARGEST_NOISE))
        self._next_epoch()

    def _learn_usual(self) -> None:
        """Move the usual share towards the share since the last alarm."""
        share = (self._alarm.usual + self._tally.share) / 2
        self._alarm.usual = min(max(share, _LEAST_USUAL), _LARGEST_NOISE)
        self._tally = Tally()

    def _cut(self, level: float) -> None:
        self._limit = max(1.0, level * _DECREASE)
        self.cuts += 1
        self._next_epoch()

    def _next_epoch(self) -> None:
        self._epoch += 1
        self._judged_from_s = math.inf
        self._successes = 0
        self._tally = Tally()
        self._alarm.reset()

    def _grow(self, now_s: float) -> None:
        """Add 1 after enough answers, up to just below the knee; probe above it after a wait."""
        self._successes += 1
        if self._trial is not None or self._limit >= self.ceiling or self._successes < self._successes_per_step:
            return
        self._successes = 0
        if self.knee is None or self._limit + 1 < self.knee:
            self._limit = min(float(self.ceiling), self._limit + 1)
        elif now_s >= self._probe_at_s:
            self._step_over(now_s)

    def _step_over(self, now_s: float) -> None:
        """Probe one step above the last refusals; the step doubles if the previous one was served."""
        if self._probing:
            self.knee = None if self._limit >= self.ceiling else int(self._limit) + 1
            self._probe_wait_s = _PROBE_AFTER_S[0]
        self._step = 2 * self._step if self._probing else 1
        self._probing = True
        self._limit = min(float(self.ceiling), self._limit + self._step)
        self._probe_at_s = now_s + 1.0
