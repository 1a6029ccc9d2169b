"""The facts of a run in words: counts, reasons, tokens, cost.

Text from a model must pass `clean`: it is untrusted.
"""

from typing import Any

from service.cli.terminal_text import clean
from service.run.cost_report import cost_facts, paid_for
from service.run.facts import acceptance
from service.run.pace import Pace, duration
from service.run.progress import Progress
from service.run.topic_shares import TopicShare, topic_shares

_TINY_USD = 1e-5
_SHOWN_TOPICS = 12
# A topic with so many prompts in a row without an accepted task is pointed out.
_MANY_FRUITLESS = 10
_DIGITS, _DIGITS_OF_CENTS, _DIGITS_OF_TINY = 4, 6, 9


def summary(progress: Progress, pace: Pace | None = None, calls: str | None = None) -> dict[str, str]:
    """Return the facts of a run in display order; `pace` and `calls` only exist for a running one.

    `calls` describes the calls between this process and the model.
    """
    facts = {
        "finished": f"{progress.finished} of {progress.target}{_classification(progress)}",
        **({"topics": told} if (told := topics(progress)) else {}),
        "pool": f"{progress.pool} ({progress.seeds} human)",
        "accepted": f"{progress.accepted} of {progress.candidates} candidates ({acceptance(progress):.0%})",
        "refused": reasons(progress) or "none",
        "prompts": f"{progress.prompts} issued, {_difference(progress, progress.outstanding)} open, "
        f"{progress.failed_prompts} failed",
        "on the way": f"{_difference(progress, progress.pending)} accepted and not finished",
        "tokens": tokens(progress),
        "cost": cost(progress),
    }
    if progress.spent:
        facts |= _breakdown(progress) | _outlook(cost_facts(progress), progress.target)
    if progress.unread:
        facts["unread"] = unread(progress)
    if progress.paid_twice:
        facts["paid twice"] = f"{progress.paid_twice} calls"
    if progress.dead_letters:
        facts["dead letters"] = dead_letters(progress)
    if calls is not None:
        facts["calls"] = clean(calls)
    return facts | _motion(progress, pace)


def _motion(progress: Progress, pace: Pace | None) -> dict[str, str]:
    """Return the pace of a running run, or that it is paused."""
    if progress.paused:
        return {"paused": "no call begins until the run is resumed (`seedstream goal --resume`)"}
    return {} if pace is None else {"pace": _paced(pace, progress)}


def _paced(pace: Pace, progress: Progress) -> str:
    rate = pace.per_minute(progress.finished)
    told = "not known yet" if rate is None else f"{rate:.1f} tasks/min"
    left_s = pace.left_s(progress)
    return told if left_s is None else f"{told}, {duration(left_s)} left"


def _classification(progress: Progress) -> str:
    """Return the share of classification tasks among the finished ones, if the recipe classifies tasks."""
    recipe = progress.defined.recipe if progress.defined is not None else None
    if not progress.finished or recipe is None or not recipe.has_classification_step:
        return ""
    return f" ({progress.classification / progress.finished:.0%} classification)"


def reasons(progress: Progress) -> str:
    """Return the reasons for rejected candidates and for dropped instructions, the most frequent first."""
    counts = [f"{reason} {count}" for reason, count in progress.rejected.most_common()]
    dropped = [f"{reason} {count} (without instances)" for reason, count in progress.dropped.most_common()]
    return clean(", ".join(counts + dropped))


def topics(progress: Progress) -> str:
    """Return a line for each topic of the run's subject: its tasks, and the shares reached and wanted.

    Of many topics, those are shown that are furthest from their shares.
    """
    shares = topic_shares(progress)
    shown = sorted(shares, key=_gap, reverse=True)[:_SHOWN_TOPICS] if len(shares) > _SHOWN_TOPICS else shares
    total = sum(each.finished for each in shares)
    lines = [_share(each, total) for each in shown]
    if len(shares) > len(shown):
        lines.append(f"and {len(shares) - len(shown)} more")
    return "\n".join(lines)


def _gap(share: TopicShare) -> float:
    return abs((share.reached or 0.0) - share.wanted)


def _share(share: TopicShare, total: int) -> str:
    reached = "none" if share.reached is None else f"{share.reached:.1%}"
    fruitless = f"; {share.fruitless} prompts in a row without an accepted task"
    told = fruitless if share.fruitless >= _MANY_FRUITLESS else ""
    told = "; no prompt yet" if share.lacks_prompts(total) else told
    return f"{clean(share.topic)}: {share.finished} tasks, {reached} ({share.wanted:.1%} wanted){told}"


def dead_letters(progress: Progress) -> str:
    """Return the numbers of dead letters by topic, and of prompts and tasks stuck because of them."""
    counts = ", ".join(f"{topic} {count}" for topic, count in progress.dead_letters.most_common())
    return f"{counts}; {progress.stuck_prompts} prompts and {progress.stuck_tasks} tasks stuck"


def unread(progress: Progress) -> str:
    """Return the numbers of records that are missing in the counts, by topic."""
    counts = ", ".join(f"{topic} {count}" for topic, count in progress.unread.most_common())
    return f"{counts}: records that only a newer Seedstream can read; each count is a lower bound"


def _difference(progress: Progress, count: int) -> str:
    """Return a difference of two counts, which is unknown if some records could not be read."""
    return "unknown number" if progress.unread else str(count)


def tokens(progress: Progress) -> str:
    """Return the tokens of all recorded calls."""
    total = progress.bill.total
    cached = f" ({total.cached_tokens:,} cached)" if total.cached_tokens else ""
    reasoning = f" ({total.reasoning_tokens:,} reasoning)" if total.reasoning_tokens else ""
    wasted = total.wasted_prompt_tokens + total.wasted_completion_tokens
    rest = {"tokens wasted": wasted, "calls failed": total.failed, "calls uncounted": total.uncounted}
    others = "".join(f", {count:,} {what}" for what, count in rest.items() if count)
    counted = f"{total.prompt_tokens:,} in{cached}, {total.completion_tokens:,} out{reasoning}"
    return f"{counted}, {total.calls:,} calls{others}"


def cost(progress: Progress) -> str:
    """Return the bill so far, as far as prices are known."""
    if not progress.spent:
        return "nothing yet"
    told = cost_facts(progress)
    if told["known_cost_usd"] is None:
        return _whole(told)
    each = {"an accepted task": told["per_accepted_usd"], "a finished one": told["per_finished_usd"]}
    rates = "".join(f", {dollars(usd)} {what}" for what, usd in each.items() if usd is not None)
    return f"{_whole(told)}{rates}"


def _whole(told: dict[str, Any]) -> str:
    """Return the total cost, as far as it is known."""
    if told["cost_usd"] is not None:
        return dollars(told["cost_usd"])
    if told["known_cost_usd"] is None:
        return "unknown (no price given)"
    return f"at least {dollars(told['known_cost_usd'])}, {told['unpriced']:,} calls of unknown cost"


def essential_costs(progress: Progress) -> dict[str, str]:
    """Return the main costs of a run, including unknown ones."""
    told = cost_facts(progress)
    limit = told["max_marginal_cost_usd"]
    allowed = f", {dollars(limit)} allowed" if limit is not None else ""
    return {
        "cost": _whole(told) if progress.spent else "nothing yet",
        "an accepted task": dollars(told["per_accepted_usd"]),
        "a finished task": dollars(told["per_finished_usd"]),
        "each of the last 1,000": dollars(told["marginal_usd"]) + allowed,
        "forecast": f"{dollars(told['forecast_usd'])} for {progress.target:,} finished tasks",
        "budget": _budget(told) if told["budget_usd"] is not None else "none",
        "paid twice": f"{told['paid_twice']:,} calls",
        "price tables": ", ".join(clean(version) for version in told["prices"]) or "none",
    }


def _breakdown(progress: Progress) -> dict[str, str]:
    """Return the bill by stage and by outcome, as far as prices are known."""
    stages = {stage: spent.known_usd for stage, spent in sorted(progress.bill.stages.items())}
    if not any(stages.values()):
        return {}
    by_outcome = sum(paid_for(progress).values())
    shares = [f"{what} {usd / by_outcome:.0%}" for what, usd in paid_for(progress).items() if usd >= by_outcome / 200]
    return {
        "by stage": ", ".join(f"{stage} {dollars(usd)}" for stage, usd in stages.items() if usd is not None),
        "by outcome": ", ".join(shares),
    }


def _outlook(told: dict[str, Any], target: int) -> dict[str, str]:
    """Return the forecast and the rest of the budget, if known."""
    facts: dict[str, str] = {}
    if told["forecast_usd"] is not None:
        facts["forecast"] = f"{dollars(told['forecast_usd'])} for {target:,} finished tasks"
    if told["budget_usd"] is not None:
        facts["budget"] = _budget(told)
    return facts


def _budget(told: dict[str, Any]) -> str:
    return f"{dollars(told['budget_left_usd'])} left of {dollars(told['budget_usd'])}"


def dollars(usd: float | None) -> str:
    """Return an amount of money in readable form; smaller amounts have more digits."""
    if usd is None:
        return "unknown"
    if usd == 0:
        return "$0"
    return f"${usd:,.{_DIGITS if abs(usd) >= 1 else _DIGITS_OF_CENTS if abs(usd) >= _TINY_USD else _DIGITS_OF_TINY}f}"
