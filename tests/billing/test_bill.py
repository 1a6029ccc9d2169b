"""The bill of a run, with all kinds of events, and topics read in any order."""

import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Iterable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from service.billing.bill import Bill
from service.billing.estimates import marginal_usd
from service.billing.totals import PICO, Spent
from service.lm.usage import Usage
from service.messaging.messages import (
    Answer,
    Call,
    CallsDropped,
    CandidateVerdict,
    ClassifiedInstruction,
    Decision,
    FailedCall,
    FailedPrompt,
    FinishedTask,
    Message,
    TaskInstances,
)
from service.selfinstruct.tasks import InstanceReason, Reason
from tests.support import examples
from tests.support.states import through_a_file

COSTS = st.none() | st.integers(0, 10**9).map(lambda millionths: millionths / 10**6)
TOKENS = st.integers(0, 5_000)
USAGES = st.builds(Usage, TOKENS, TOKENS, TOKENS, TOKENS)


def fold(messages: Iterable[Message]) -> Bill:
    bill = Bill()
    for message in messages:
        bill.apply(message)
    return bill


def call(cost_usd: float | None, usage: Usage | None = None, wasted: Usage | None = None) -> Call:
    return structs.replace(examples.CALL, cost_usd=cost_usd, usage=usage, wasted=wasted, prices="v")


def answer(seq: int, cost_usd: float | None = 1.0) -> Answer:
    return structs.replace(examples.answer(seq), call=call(cost_usd, Usage(10, 5)))


def decision(seq: int, *reasons: Reason | None, failure: str | None = None) -> Decision:
    verdicts = tuple(CandidateVerdict(id=f"p{seq}.{place}", reason=reason) for place, reason in enumerate(reasons))
    return Decision(prompt_id=f"p{seq}", prompt_seq=seq, recipe="rr", verdicts=verdicts, failure=failure, pool_size=0)


def failed_prompt(seq: int, spent: FailedCall | None = None) -> FailedPrompt:
    return structs.replace(examples.failed(seq), spent=spent)


def classified(number: int, cost_usd: float | None = 1.0) -> ClassifiedInstruction:
    task = examples.classified(f"t{number}", is_classification=False)
    return structs.replace(task, pool_seq=number, call=call(cost_usd, Usage(10, 5)))


def written(number: int, rejection: InstanceReason | None = None, cost_usd: float | None = 1.0) -> TaskInstances:
    task = examples.task_instances(f"t{number}", rejection)
    return structs.replace(task, pool_seq=number, call=call(cost_usd, Usage(10, 5)))


def finished(number: int) -> FinishedTask:
    return structs.replace(examples.finished(number), id=f"t{number}")


CALLS = st.builds(call, COSTS, st.none() | USAGES, st.none() | USAGES)
FAILURES = st.none() | st.builds(
    FailedCall, attempts=st.integers(1, 9), wasted=st.none() | USAGES, cost_usd=COSTS, prices=st.just("w")
)
TAKINGS = st.fixed_dictionaries({"call": CALLS}) | st.fixed_dictionaries({"call": st.none(), "spent": FAILURES})
FATES = st.lists(st.none() | st.sampled_from(list(Reason)), max_size=5)
TIMES = st.integers(0, 2)


@st.composite
def logs(draw: st.DrawFn) -> list[list[Message]]:
    """Draw the topics of a run with all kinds of trouble: calls not counted, without price, paid twice, or given up."""
    topics: dict[str, list[Message]] = defaultdict(list)
    for seq in range(draw(st.integers(0, 5))):
        for _ in range(draw(TIMES)):
            answered = structs.replace(examples.answer(seq), call=draw(CALLS))
            topics["candidates"].append(answered if draw(st.booleans()) else failed_prompt(seq, draw(FAILURES)))
        if draw(st.booleans()):
            failure = draw(st.none() | st.just("timed out"))
            topics["decisions"].append(decision(seq, *(() if failure else draw(FATES)), failure=failure))
    for number in range(draw(st.integers(0, 5))):
        topics["classified"] += [structs.replace(classified(number), **draw(TAKINGS)) for _ in range(draw(TIMES))]
        for _ in range(draw(TIMES)):
            rejection = draw(st.none() | st.sampled_from(list(InstanceReason)))
            topics["instances"].append(structs.replace(written(number, rejection), **draw(TAKINGS)))
        if draw(st.booleans()):
            topics["tasks"].append(finished(number))
    return list(topics.values())


def interleaved(topics: list[list[Message]], random: Random) -> list[Message]:
    """Return the messages of all topics, interleaved. The messages of each topic keep their order."""
    turns = [number for number, topic in enumerate(topics) for _ in topic]
    random.shuffle(turns)
    rest = [iter(topic) for topic in topics]
    return [next(rest[number]) for number in turns]


@settings(max_examples=200)
@given(logs(), st.randoms(use_true_random=False))
def test_the_topics_may_be_read_in_any_order(topics: list[list[Message]], random: Random) -> None:
    expected = fold(message for topic in topics for message in topic)
    found = fold(interleaved(topics, random))
    assert found == expected
    assert found.awaited == expected.awaited
    assert found.recent.per_acceptance(7.0) == expected.recent.per_acceptance(7.0)


@settings(max_examples=200, deadline=None)
@given(logs(), st.randoms(use_true_random=False), st.data())
def test_a_restored_bill_goes_on_as_if_it_had_read_all(
    topics: list[list[Message]], random: Random, data: st.DataObject
) -> None:
    messages = interleaved(topics, random)
    split = data.draw(st.integers(0, len(messages)))
    before = fold(messages[:split])
    taken = before.snapshot()
    expected = fold(messages)
    for message in messages[split:]:
        before.apply(message)
    found = Bill.restored(through_a_file(taken))
    assert found == fold(messages[:split])
    for message in messages[split:]:
        found.apply(message)
    for bill in (before, found):
        assert bill == expected
        assert bill.recent.per_acceptance(7.0) == expected.recent.per_acceptance(7.0)
        assert [bill.outcome(number) for number in range(6)] == [expected.outcome(number) for number in range(6)]


@settings(max_examples=200)
@given(logs(), st.randoms(use_true_random=False))
def test_the_costs_of_outcomes_and_stages_have_equal_sums(topics: list[list[Message]], random: Random) -> None:
    bill = Bill()
    for message in interleaved(topics, random):
        bill.apply(message)
        outcomes = bill.candidates.total() + bill.tasks.total() + bill.repeated_cost
        assert outcomes == bill.total.cost
        assert min((*bill.candidates.values(), *bill.tasks.values(), 0)) == 0


@settings(max_examples=200)
@given(logs())
def test_the_total_counts_all_calls_on_the_log(topics: list[list[Message]]) -> None:
    messages = [message for topic in topics for message in topic]
    calls = [each.call for each in messages if isinstance(each, Answer | ClassifiedInstruction | TaskInstances)]
    failed = [each.spent for each in messages if isinstance(each, FailedPrompt | ClassifiedInstruction | TaskInstances)]
    answered = [each for each in calls if each is not None]
    given_up = [each for each in failed if each is not None]
    total = fold(messages).total
    assert (total.calls, total.failed) == (len(answered), len(given_up))
    assert total.attempts == sum(each.attempts for each in answered) + sum(each.attempts for each in given_up)
    assert total.prompt_tokens == sum(each.usage.prompt_tokens for each in answered if each.usage)
    wasted = [each.wasted for each in answered if each.wasted] + [each.wasted for each in given_up if each.wasted]
    assert total.wasted_completion_tokens == sum(each.completion_tokens for each in wasted)
    paid = [each.cost_usd for each in answered] + [each.cost_usd for each in given_up if each.wasted]
    assert total.cost == sum(round(cost * PICO) for cost in paid if cost is not None)
    assert total.unpriced == paid.count(None)
    assert total.cost_usd is None or total.unpriced == 0


def plain_calls(messages: Iterable[Message]) -> tuple[dict[str, int], dict[str, int], int]:
    """Return the completions, the repeated ones, and the cost of these, from sets of all that was answered."""
    answered: dict[str, set[str]] = defaultdict(set)
    calls: Counter[str] = Counter()
    repeated: Counter[str] = Counter()
    cost = 0
    for message in messages:
        if isinstance(message, Answer | ClassifiedInstruction | TaskInstances) and message.call is not None:
            stage = {Answer: "generate", ClassifiedInstruction: "classify"}.get(type(message), "instances")
            calls[stage] += 1
            if message.key in answered[stage]:
                repeated[stage] += 1
                cost += round((message.call.cost_usd or 0) * PICO)
            answered[stage].add(message.key)
    return calls, repeated, cost


@settings(max_examples=200)
@given(logs(), st.randoms(use_true_random=False))
def test_calls_are_counted_as_a_plain_set_would(topics: list[list[Message]], random: Random) -> None:
    messages = interleaved(topics, random)
    bill = fold(messages)
    calls, repeated, cost = plain_calls(messages)
    assert {stage: spent.calls for stage, spent in bill.stages.items() if spent.calls} == calls
    assert {stage: spent.repeated for stage, spent in bill.stages.items() if spent.repeated} == repeated
    assert bill.repeated_cost == cost


def test_a_failure_at_the_start_costs_no_memory_for_the_rest() -> None:
    sizes = []
    for first in (answer(0), failed_prompt(0, FailedCall(attempts=1))):
        tracemalloc.start()
        try:
            bill = fold([first])
            for seq in range(1, 5_000):
                bill.apply(answer(seq))
            sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    assert sizes[1] < 1.2 * sizes[0]


def test_the_cost_of_a_prompt_is_shared_by_its_candidates() -> None:
    bill = fold([answer(0, 0.9), decision(0, None, Reason.TOO_SIMILAR, Reason.TOO_SIMILAR)])
    assert bill.candidates == Counter({"accepted": PICO * 3 // 10, "too_similar": PICO * 6 // 10})


def test_the_remainder_of_a_shared_cost_is_not_lost() -> None:
    bill = fold([answer(0, 1.0), decision(0, None, None, Reason.TOO_SHORT)])
    assert bill.candidates.total() == PICO
    assert set(bill.candidates.values()) == {0, PICO // 3, 2 * (PICO // 3) + 1}


def test_empty_failed_and_undecided_prompts_have_own_outcomes() -> None:
    spent = FailedCall(attempts=3, wasted=Usage(1, 1), cost_usd=2.0)
    messages = [answer(0), decision(0), failed_prompt(1, spent), decision(1, failure="no"), answer(2, 4.0)]
    expected = Counter({"no_candidates": PICO, "failed": 2 * PICO, "undecided": 4 * PICO})
    assert fold(messages).candidates == expected
    assert fold(messages).stages["generate"] == Spent(
        calls=2,
        attempts=5,
        prompt_tokens=20,
        completion_tokens=10,
        wasted_prompt_tokens=1,
        wasted_completion_tokens=1,
        failed=1,
        priced=2,
        cost=7 * PICO,
        failed_cost=2 * PICO,
    )


def test_the_cost_of_a_task_includes_both_calls_in_any_outcome() -> None:
    rejected = written(1, InstanceReason.NONE_VALID)
    bill = fold([*map(classified, range(3)), written(0), finished(0), rejected, written(2)])
    assert bill.tasks == Counter({"finished": 2 * PICO, "none_valid": 2 * PICO, "pending": 2 * PICO})


def test_a_task_that_was_finished_after_all_was_not_dropped() -> None:
    bill = fold([written(0, InstanceReason.NONE_PARSED), finished(0)])
    assert bill.tasks == Counter({"finished": PICO})
    assert (bill.task_costs.seen, bill.task_costs.mean) == (1, PICO)


def test_a_repeated_call_counts_only_as_repeated() -> None:
    bill = fold([answer(0, 1.0), decision(0, None), answer(0, 3.0), classified(0), classified(0, 5.0)])
    assert (bill.candidates, bill.tasks) == (Counter({"accepted": PICO}), Counter({"pending": PICO}))
    assert (bill.repeated_cost, bill.total.cost) == (8 * PICO, 10 * PICO)
    assert {stage: spent.repeated for stage, spent in bill.stages.items()} == {"generate": 1, "classify": 1}


def test_a_failure_without_usage_leaves_the_bill_exact() -> None:
    bill = fold([answer(0), failed_prompt(1, FailedCall(attempts=10)), failed_prompt(2)])
    assert (bill.total.cost_usd, bill.total.failed, bill.total.attempts) == (1.0, 1, 11)


def test_an_unknown_cost_leaves_the_total_unknown() -> None:
    bill = fold([answer(0), structs.replace(examples.answer(1), call=call(None)), answer(2, None)])
    total = bill.total
    assert (total.cost_usd, total.known_usd, total.unpriced, total.uncounted) == (None, 1.0, 2, 1)
    assert (total.without_price, total.estimate) == (1, 3 * PICO)


def test_a_cost_is_unknown_until_a_call_reports_one() -> None:
    assert (Bill().total.cost_usd, Bill().total.known_usd) == (None, None)
    assert fold([answer(0, None)]).total.known_usd is None
    assert fold([answer(0, 0.0)]).total.cost_usd == 0.0


def test_impossible_costs_are_not_billed() -> None:
    bill = fold([answer(0, float("nan")), answer(1, float("inf")), answer(2, -1.0), answer(3, 1e300)])
    assert (bill.total.cost, bill.total.unpriced) == (0, 4)


def test_the_marginal_cost_covers_the_last_thousand_acceptances() -> None:
    bill = Bill()
    for seq in range(100):
        bill.apply(answer(seq, 100.0))
        bill.apply(decision(seq, *[None] * 5))
    bill.apply(classified(0, 0.5))
    bill.apply(written(0, cost_usd=1.5))
    bill.apply(finished(0))
    assert marginal_usd(bill) is None
    for seq in range(100, 300):
        bill.apply(answer(seq, 10.0 if seq % 2 else 20.0))
        bill.apply(decision(seq, *[None] * 10) if seq % 2 else decision(seq, Reason.TOO_SHORT))
        assert (marginal_usd(bill) is None) == (seq < 199)
    assert bill.recent.accepted == 1_000
    assert marginal_usd(bill) == 3.0 + 2.0


def test_the_versions_of_all_price_tables_are_kept() -> None:
    old = structs.replace(call(1.0), prices="2026-10")
    failed = FailedCall(attempts=1, wasted=Usage(1, 1), cost_usd=1.0, prices="2026-12")
    messages = [structs.replace(examples.answer(0), call=old), answer(1), failed_prompt(2, failed)]
    assert fold(messages).prices == {"2026-10", "v", "2026-12"}


def by_model(bill: Bill) -> dict[str, dict[str, int]]:
    return {
        stage: {model: spent.cost // PICO for model, spent in models.items()} for stage, models in bill.models.items()
    }


def test_the_bill_is_divided_by_stage_and_by_model() -> None:
    """The model of a stage may change, and a failed call has the name of the model that was asked."""
    large = structs.replace(written(0), call=structs.replace(call(5.0, Usage(1, 1)), model="large"))
    again = structs.replace(written(1), call=structs.replace(call(7.0, Usage(1, 1)), model="small"))
    failed = structs.replace(
        written(2, InstanceReason.CALL_FAILED),
        call=None,
        spent=FailedCall(attempts=3, wasted=Usage(1, 1), cost_usd=2.0, model="large"),
    )
    dropped = CallsDropped.of("instances", [FailedCall(attempts=1, wasted=Usage(1, 1), cost_usd=3.0, model="large")])
    bill = fold([answer(0), classified(0), large, again, failed, dropped, failed_prompt(1, FailedCall(attempts=1))])
    model = examples.CALL.model
    assert by_model(bill) == {
        "generate": {model: 1, "": 0},
        "classify": {model: 1},
        "instances": {"large": 10, "small": 7},
    }
    assert bill.stages["instances"] == bill.models["instances"]["large"] + bill.models["instances"]["small"]
    assert (bill.stages["instances"].cost, bill.total.cost) == (17 * PICO, 19 * PICO)
    assert Bill.restored(through_a_file(bill.snapshot())) == bill
